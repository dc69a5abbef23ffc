"""Image sources of rooms that are no boxes: as pyroomacoustics finds them, and as in boxes."""

from dataclasses import replace
import math

from nsrp_ros.core.geometry import SPEED_OF_SOUND
from nsrp_ros.simulation.acoustics.image_sources import image_geometry
from nsrp_ros.simulation.acoustics.propagation_paths import Acoustics
from nsrp_ros.simulation.acoustics.propagation_paths import trace_paths
from nsrp_ros.simulation.acoustics.room_responses import render_microphones
from nsrp_ros.simulation.acoustics.room_responses import room_spectra
from nsrp_ros.simulation.acoustics.wall_absorption import limit_reverberation
from nsrp_ros.simulation.acoustics.wall_absorption import reverberation_times
from nsrp_ros.simulation.rooms.polygons import draw_inside
from nsrp_ros.simulation.rooms.polygons import draw_outlines
from nsrp_ros.simulation.rooms.polygons import PolygonConfig
from nsrp_ros.simulation.rooms.polygons import walls_of_edges
from nsrp_ros.simulation.shoebox_rooms import draw_rooms
from nsrp_ros.simulation.shoebox_rooms import RoomConfig
from nsrp_ros.simulation.shoebox_rooms import Rooms
import pyroomacoustics
import pytest
import torch

L_SHAPE = [(0, 0), (6, 0), (6, 2.5), (3.5, 2.5), (3.5, 5), (0, 5)]
SLANTED = [(0.7, 0), (5.1, 0.4), (6, 3.2), (4.4, 5), (0, 3.9)]
HEIGHT, N_BANDS = 2.7, 6


def generator():
    return torch.Generator().manual_seed(4)


def uniform(generator):
    return lambda *shape: torch.rand(shape, generator=generator)


def prism(corners, n_mics=6):
    """Return one room, whose last corner is repeated, with devices anywhere in it."""
    draw = uniform(generator())
    outline = torch.tensor([[*corners, corners[-1]]], dtype=torch.float32)
    places = torch.cat([draw_inside(outline, 1 + n_mics, 0.1, draw),
                        0.2 + 2.3 * draw(1, 1 + n_mics, 1)], dim=-1)
    return Rooms(torch.tensor([[*outline[0].amax(dim=0).tolist(), HEIGHT]]), places[:, 1:],
                 places[:, 0], draw(1, 3, 2, 1).expand(1, 3, 2, N_BANDS),
                 outline, draw(1, len(corners) + 1, 1).expand(1, -1, N_BANDS))


def reference(room, corners, max_order):
    """Return pyroomacoustics' images (I, 3), their gains (I,) and who hears them (M, I)."""
    walls = [pyroomacoustics.Material(float(a)) for a in room.wall_absorption[0, :, 0]]
    theirs = pyroomacoustics.Room.from_corners(
        torch.tensor(corners, dtype=torch.float64).numpy().T, fs=16000, max_order=max_order,
        materials=walls[:-2] + walls[-1:])  # the second last edge has no length
    theirs.extrude(HEIGHT, materials={
        'floor': pyroomacoustics.Material(float(room.absorption[0, 2, 0, 0])),
        'ceiling': pyroomacoustics.Material(float(room.absorption[0, 2, 1, 0]))})
    theirs.add_source(room.source_position[0].double().numpy())
    theirs.add_microphone_array(room.mic_positions[0].double().numpy().T)
    theirs.image_source_model()
    [source] = theirs.sources
    return (torch.from_numpy(source.images.T.copy()).float(),
            torch.from_numpy(source.damping[0].copy()).float(),
            torch.from_numpy(theirs.visibility[0].copy()).bool())


@pytest.mark.parametrize('corners', [L_SHAPE, SLANTED], ids=['l_shape', 'slanted'])
def test_microphones_hear_the_images_that_pyroomacoustics_finds(corners):
    room = prism(corners)
    images = image_geometry(room, 3)
    expected, damping, visibility = reference(room, corners, 3)
    for mic, place in enumerate(room.mic_positions[0]):
        heard = images.heard[0, mic]
        ours = torch.cat([place - images.vectors[0, mic].T, images.gains[0, :1].T], dim=1)[heard]
        theirs = torch.cat([expected, damping[:, None]], dim=1)[visibility[mic]]
        assert len(ours) == len(theirs) > 15
        distance = torch.cdist(ours, theirs, compute_mode='donot_use_mm_for_euclid_dist')
        assert distance.amin(dim=0).max() < 1e-4 and distance.amin(dim=1).max() < 1e-4


def test_talkers_around_a_corner_are_not_heard_directly():
    room = replace(prism(L_SHAPE, 2), source_position=torch.tensor([[5.5, 0.7, 1.5]]),
                   mic_positions=torch.tensor([[[2.5, 4.7, 1.2], [0.5, 0.5, 1.2]]]))
    distances, amplitudes, _ = trace_paths(room, Acoustics(), 2, None)
    direct = amplitudes(slice(0, 1))[0, :, 0, 0]
    assert direct[0] == 0 and direct[1] == pytest.approx(1 / float(distances[0, 1, 0]))
    assert (amplitudes(slice(0, 1))[0, 0] > 0).any()  # yet by reflections


def boxes(n_rooms=3):
    """Return boxes, and the same as polygons whose corners begin anywhere."""
    rooms = draw_rooms(RoomConfig(min_dims=(3.0, 3.0, 2.3)), 4, n_rooms, generator())
    # The repeated corner comes last, so that the last edge but one has no length.
    corners = torch.tensor([(0.0, 0), (1, 0), (1, 1), (0, 1)]) * rooms.dims[:, None, :2]
    walls = rooms.absorption[:, [1, 0, 1, 0], [0, 1, 1, 0]]
    order = [2, 3, 0, 1, 1]
    return rooms, replace(rooms, outline=corners[:, order], wall_absorption=walls[:, order])


def test_rectangles_sound_like_boxes():
    rooms, polygons = boxes()
    draw = uniform(generator())
    axis = torch.nn.functional.normalize(draw(3, 3) - 0.5, dim=1)
    acoustics = Acoustics(talker_axis=axis, talker_pattern=0.4 * draw(3, 6),
                          mic_axis=axis[:, None].expand(3, 4, 3), mic_pattern=0.3 * draw(3, 4, 6))
    for effects in (None, acoustics):
        box, polygon = (room_spectra(kind, 5, 16000, 16000, effects)
                        for kind in (rooms, polygons))
        assert (box - polygon).norm() < 1e-4 * box.norm()
    torch.testing.assert_close(reverberation_times(rooms), reverberation_times(polygons))


def test_tails_of_rectangles_are_those_of_boxes():
    low_order = [trace_paths(kind, Acoustics(tail=torch.ones(3, dtype=torch.bool)), 5, None)[2]
                 for kind in boxes()]
    for name in ('power', 'rt60'):
        torch.testing.assert_close(*(getattr(tail, name) for tail in low_order),
                                   rtol=1e-3, atol=0)


def test_rooms_that_reverberate_too_long_are_damped():
    room = prism(L_SHAPE)
    hard, soft = (replace(room, absorption=torch.full((1, 3, 2, 6), a),
                          wall_absorption=torch.full((1, 7, 6), a)) for a in (0.02, 0.5))
    # Eyring's formula for 23.75 square metres of floor, 22 m of walls and 2.7 m of height.
    surface, volume = 2 * 23.75 + 22 * HEIGHT, 23.75 * HEIGHT
    expected = 24 * math.log(10) * volume / (-SPEED_OF_SOUND * surface * math.log(0.5))
    assert reverberation_times(soft)[0, 0] == pytest.approx(expected, rel=1e-3)
    assert reverberation_times(hard).min() > 1.5
    assert 1.3 < reverberation_times(limit_reverberation(hard, 1.5)).max() <= 1.5
    assert torch.equal(limit_reverberation(soft, 1.5).wall_absorption, soft.wall_absorption)


def test_jitter_of_an_image_is_the_same_wherever_the_talker_walks():
    room = replace(prism(L_SHAPE), source_position=torch.tensor([[2.0, 1.5, 1.6]]))
    moved = replace(room, source_position=room.source_position + torch.tensor([0.3, 0.2, 0.0]))
    ours, theirs = (image_geometry(each, 3) for each in (room, moved))
    drawn = [images.draws(lambda *shape: torch.randn(shape, generator=generator()))(
        1, 1, 3, images.names.shape[1])[0, 0, 0] for images in (ours, theirs)]
    shared = (ours.names[0][:, None] == theirs.names[0]).nonzero()
    assert len(shared) > 30 and drawn[0].unique().numel() > 30
    assert torch.equal(drawn[0][shared[:, 0]], drawn[1][shared[:, 1]])


def test_batches_are_as_single_rooms():
    draw = uniform(generator())
    dims = torch.tensor([[7.0, 5.0, 3.0]]).expand(5, 3)
    outline = draw_outlines(PolygonConfig(), dims, draw)
    places = torch.cat([draw_inside(outline, 4, 0.1, draw), 0.5 + draw(5, 4, 1)], dim=-1)
    absorption = draw(5, 3, 2, N_BANDS)
    rooms = Rooms(dims, places[:, 1:], places[:, 0], absorption, outline,
                  walls_of_edges(absorption, outline.shape[1], draw))
    together = room_spectra(rooms, 4, 8000, 16000)
    for k in range(5):
        alone = room_spectra(rooms[k:k + 1], 4, 8000, 16000)[0]
        assert (together[k] - alone).norm() < 1e-4 * alone.norm()
    speech = torch.randn(5, 12000, generator=generator())
    whole, in_parts = (render_microphones(RoomConfig(max_order=4), rooms, speech, 16000, limit)
                       for limit in (2 ** 30, 2 ** 21))
    assert (whole - in_parts).norm() < 1e-4 * whole.norm()
