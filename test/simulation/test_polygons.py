"""Rooms that are no boxes: their outlines, and that everybody stays within them."""

from dataclasses import replace

from nsrp_ros.simulation import babble
from nsrp_ros.simulation import talker_motion
from nsrp_ros.simulation.noise import NoiseConfig
from nsrp_ros.simulation.rooms.polygons import draw_inside
from nsrp_ros.simulation.rooms.polygons import draw_outlines
from nsrp_ros.simulation.rooms.polygons import inside
from nsrp_ros.simulation.rooms.polygons import PolygonConfig
from nsrp_ros.simulation.rooms.polygons import SHORTEST_WALL
from nsrp_ros.simulation.rooms.polygons import walls_of_edges
from nsrp_ros.simulation.shoebox_rooms import RoomConfig
from nsrp_ros.simulation.shoebox_rooms import Rooms
from nsrp_ros.simulation.speech.bank import SpeechBank
import pytest
import torch

L_SHAPE = torch.tensor([[(0.0, 0.0), (6, 0), (6, 2.5), (3.5, 2.5), (3.5, 5), (0, 5)]])


def uniform(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return lambda *shape: torch.rand(shape, generator=generator)


def outlines(l_shaped, n_rooms=400, **fields):
    """Return the bounding boxes of rooms and their outlines."""
    dims = torch.tensor([3.0, 3.0, 2.0]) + 7 * uniform(1)(n_rooms, 3)
    return dims, draw_outlines(PolygonConfig(l_shaped=l_shaped, **fields), dims, uniform())


def turns(outline):
    """Return the cross products (B, C) of each edge and the next: below 0 at reflex corners."""
    edge = outline.roll(-1, dims=1) - outline
    after = torch.roll(edge, -1, dims=1)
    return edge[..., 0] * after[..., 1] - edge[..., 1] * after[..., 0]


@pytest.mark.parametrize('l_shaped', [0.0, 1.0])
def test_outlines_fill_their_boxes_and_have_no_short_walls(l_shaped):
    dims, outline = outlines(l_shaped)
    assert (outline.amin(dim=1) == 0).all()
    torch.testing.assert_close(outline.amax(dim=1), dims[:, :2])
    length = torch.linalg.vector_norm(outline.roll(-1, dims=1) - outline, dim=-1)
    assert length[length > 0].min() >= SHORTEST_WALL
    after = outline.roll(-1, dims=1)
    area = (outline[..., 0] * after[..., 1] - outline[..., 1] * after[..., 0]).sum(dim=1) / 2
    share = area / dims[:, 0] / dims[:, 1]
    assert (share > 0.3).all() and share.mean() < 0.9  # counterclockwise, and no boxes


def test_l_shapes_have_one_reflex_corner_and_face_all_ways():
    _, outline = outlines(1.0, corners=(4, 6))
    # Six corners: none is repeated.
    assert ((turns(outline) < -1e-3).sum(dim=1) == 1).all()
    box = outline.amax(dim=1)
    # Each of the four corners of the box is outside of a quarter of the rooms.
    corners = (torch.tensor([(0.01, 0.01), (0.99, 0.01), (0.99, 0.99), (0.01, 0.99)])
               * box[:, None])
    missing = ~inside(corners, outline)
    assert (missing.sum(dim=1) == 1).all() and missing.float().mean(dim=0).min() > 0.15


def test_other_rooms_are_convex_with_as_many_corners_as_wanted():
    _, outline = outlines(0.0, corners=(5, 7))
    assert outline.shape[1] == 7
    assert (turns(outline) > -1e-4).all()
    n_corners = ((outline.roll(-1, dims=1) - outline).abs().sum(dim=-1) > 0).sum(dim=1)
    counts = n_corners.bincount(minlength=8)[5:]
    assert counts.sum() == len(outline) and (counts > 40).all()


def test_points_drawn_inside_keep_their_margin():
    _, outline = outlines(0.5, n_rooms=50)
    points = draw_inside(outline, 20, 0.3, uniform())
    assert inside(points, outline, 0.3).all()
    # As many are nearer than a metre to some wall as of points on a fine grid.
    l_points = draw_inside(L_SHAPE, 4000, 0.0, uniform())
    grid = torch.cartesian_prod(torch.arange(0.025, 6, 0.05), torch.arange(0.025, 5, 0.05))[None]
    far = inside(grid, L_SHAPE, 1.0).sum() / inside(grid, L_SHAPE).sum()
    assert inside(l_points, L_SHAPE, 1.0).float().mean() == pytest.approx(float(far), abs=0.03)
    with pytest.raises(ValueError, match='away from every wall'):
        draw_inside(L_SHAPE, 1, 3.0, uniform())


def test_walls_are_those_of_the_box():
    absorption = uniform()(3, 3, 2, 6)
    walls = walls_of_edges(absorption, 6, uniform(1))
    known = absorption[:, :2].flatten(1, 2)
    same = (walls[:, :, None] == known[:, None]).all(dim=-1)  # (B, edges, walls)
    assert (same.sum(dim=2) == 1).all() and same.any(dim=1).all()


def l_room():
    """Return an L-shaped room with a talker and two microphones."""
    absorption = torch.full((1, 3, 2, 6), 0.5)
    return Rooms(torch.tensor([[6.0, 5.0, 3.0]]),
                 torch.tensor([[[1.0, 1.0, 1.5], [1.0, 4.0, 1.5]]]),
                 torch.tensor([[5.0, 2.0, 1.5]]), absorption, L_SHAPE,
                 absorption[:, 0, 0][:, None].expand(1, 6, 6))


def test_talkers_stop_at_walls_of_polygons(monkeypatch):
    places = []

    def render(config, rooms, *args, **kwargs):
        places.append(rooms.source_position[0, :2])
        return torch.zeros(1, 2, 8000)

    monkeypatch.setattr(talker_motion, 'render_microphones', render)
    # Towards the wall at y = 2.5, which is no wall of the box.
    talker_motion.render_moving(torch.tensor([[0.0, 8.0, 0.0]]), RoomConfig(max_order=0),
                                l_room(), torch.zeros(1, 9600), 16000, 2 ** 28, None,
                                torch.Generator())
    assert inside(torch.stack(places)[None], L_SHAPE, 0.04).all()
    assert places[2][1] == pytest.approx(2.45, abs=0.07) and places[0][1] < 0.5


def test_interfering_talkers_are_within_the_outline(monkeypatch):
    places = []

    def render(config, rooms, *args, **kwargs):
        places.append(rooms.source_position)
        return torch.zeros(len(rooms), 2, 8000)

    monkeypatch.setattr(babble, 'render_microphones', render)
    noise = (3000 * torch.randn(32000, generator=torch.Generator().manual_seed(0))).short()
    bank = SpeechBank([[noise.numpy()]])
    babble.babble_in_room(NoiseConfig(babble_talkers=8), RoomConfig(max_order=0),
                          l_room()[torch.zeros(30, dtype=torch.int64)], None, bank, 9600,
                          torch.Generator().manual_seed(0), 2 ** 28)
    drawn = torch.stack(places, dim=1).flatten(0, 1)[None]
    assert drawn.shape == (1, 240, 3) and inside(drawn, L_SHAPE, 0.15).all()
    assert 0.2 < drawn[..., 2].min() and drawn[..., 2].max() < 2.8


def test_outlines_need_walls_and_configurations_sense():
    with pytest.raises(ValueError, match='given together'):
        replace(l_room(), wall_absorption=None)
    with pytest.raises(ValueError, match='l_shaped'):
        PolygonConfig(l_shaped=1.5)
    with pytest.raises(ValueError, match='corners'):
        PolygonConfig(corners=(3, 5))
