"""Propagation paths: directivity, occlusion, latency, air and jitter have their exact effect."""

from dataclasses import replace

from nsrp_ros.simulation.acoustics.air_absorption import air_attenuation
from nsrp_ros.simulation.acoustics.air_absorption import NEPERS_PER_DB
from nsrp_ros.simulation.acoustics.image_sources import image_geometry
from nsrp_ros.simulation.acoustics.image_sources import image_sources
from nsrp_ros.simulation.acoustics.octave_bands import BANDS
from nsrp_ros.simulation.acoustics.propagation_paths import Acoustics
from nsrp_ros.simulation.acoustics.propagation_paths import trace_paths
from nsrp_ros.simulation.acoustics.room_responses import room_spectra
from nsrp_ros.simulation.acoustics.scattering_occlusion import jittered_gains
from nsrp_ros.simulation.acoustics.scattering_occlusion import OCCLUSION_SPECTRUM
from nsrp_ros.simulation.shoebox_rooms import draw_rooms
from nsrp_ros.simulation.shoebox_rooms import PRESETS
from nsrp_ros.simulation.shoebox_rooms import Rooms
import numpy as np
import pytest
import torch

RATE, N_FFT = 16000, 16000  # bins of one hertz
PATTERN = torch.tensor([[0.0, 0.08, 0.16, 0.24, 0.32, 0.4]])


def generator():
    return torch.Generator().manual_seed(0)


def normal(*shape):
    return torch.randn(shape, generator=generator())


def one_room(rigid_wall=None):
    """Return a talker 2 m from a microphone along x; optionally with one rigid wall."""
    absorption = torch.ones(1, 3, 2, len(BANDS))
    if rigid_wall is not None:
        absorption[(0, *rigid_wall)] = 0.0
    return Rooms(torch.tensor([[6.0, 5.0, 3.0]]), torch.tensor([[[4.0, 2.0, 1.5]]]),
                 torch.tensor([[2.0, 2.0, 1.5]]), absorption)


def at_bands(room, order, acoustics):
    """Return the magnitudes (M, K) of a response at the centres of the bands."""
    return room_spectra(room, order, N_FFT, RATE, acoustics)[0, :, list(BANDS)].abs()


def reflection(room, acoustics):
    """Return the magnitudes (M, K) of what first reflections add to the direct sound."""
    both, direct = (room_spectra(room, order, N_FFT, RATE, acoustics)[0] for order in (1, 0))
    return (both - direct)[:, list(BANDS)].abs()


def facing(x, y=0.0):
    return Acoustics(talker_axis=torch.tensor([[x, y, 0.0]]), talker_pattern=PATTERN)


def test_neutral_acoustics_equal_an_ideal_room():
    rooms = draw_rooms(PRESETS['hard'], 4, 3, generator())
    ideal = room_spectra(rooms, 6, N_FFT, RATE)
    neutral = Acoustics(
        talker_axis=torch.tensor([[1.0, 0.0, 0.0]]).expand(3, 3),
        talker_pattern=torch.zeros(3, 6), mic_axis=torch.ones(3, 4, 3) / 3 ** 0.5,
        mic_pattern=torch.zeros(3, 4, 6), occlusion=torch.ones(3, 4, 6),
        image_jitter=torch.zeros(3), gain_jitter=torch.zeros(3), response=torch.ones(3, 4, 6),
        latency=torch.zeros(3, 4), air=torch.zeros(3, 6))
    for acoustics in (Acoustics(), neutral):
        found = room_spectra(rooms, 6, N_FFT, RATE, acoustics, generator())
        assert (found - ideal).norm() < 1e-3 * ideal.norm()


def test_geometry_and_sources_list_the_same_images():
    rooms = draw_rooms(PRESETS['hard'], 3, 2, generator())
    images = image_geometry(rooms, 4)
    expected_gains, distances = image_sources(rooms, 4)
    assert torch.equal(images.gains, expected_gains)
    torch.testing.assert_close(torch.linalg.vector_norm(images.vectors, dim=2), distances)
    assert images.orders.max() == 4 and (images.mirrors.abs() == 1).all()


def test_talker_facing_away_is_attenuated_by_the_pattern():
    towards, away, aside = (at_bands(one_room(), 0, facing(*axis))
                            for axis in ((1.0,), (-1.0,), (0.0, 1.0)))
    np.testing.assert_allclose(away / towards, 1 - 2 * PATTERN, atol=5e-3)
    np.testing.assert_allclose(aside / towards, 1 - PATTERN, atol=5e-3)
    assert away[0, 0] == pytest.approx(float(towards[0, 0]), rel=5e-3)  # omnidirectional at 125 Hz


def test_reflection_ahead_of_the_talker_is_not_attenuated():
    # Facing the wall x = 0, away from the microphone: its reflection has full gain.
    towards_wall = reflection(one_room((0, 0)), facing(-1.0))
    np.testing.assert_allclose(towards_wall * 6.0, 1.0, atol=1e-2)
    # The wall x = 6 behind the microphone is behind the talker, too.
    behind = reflection(one_room((0, 1)), facing(-1.0))
    np.testing.assert_allclose(behind * 6.0, 1 - 2 * PATTERN, atol=1e-2)


def test_microphone_gain_follows_its_orientation():
    def oriented(x):
        return Acoustics(mic_axis=torch.tensor([[[x, 0.0, 0.0]]]),
                         mic_pattern=torch.full((1, 1, 6), 0.4))
    ratio = at_bands(one_room(), 0, oriented(1.0)) / at_bands(one_room(), 0, oriented(-1.0))
    np.testing.assert_allclose(ratio, 0.2, atol=2e-3)
    # Facing the wall behind, its reflection has full gain.
    np.testing.assert_allclose(reflection(one_room((0, 1)), oriented(1.0)) * 6, 1.0, atol=1e-2)


def test_occlusion_attenuates_the_direct_path_only():
    room = one_room((1, 1))
    loss_db = 12.0 * torch.tensor(OCCLUSION_SPECTRUM)
    occluded = Acoustics(occlusion=(-NEPERS_PER_DB * loss_db).exp()[None, None])
    found = at_bands(room, 0, occluded) / at_bands(room, 0, Acoustics())
    np.testing.assert_allclose(-20 * found[0].log10(), loss_db, atol=0.1)
    torch.testing.assert_close(reflection(room, occluded), reflection(room, Acoustics()),
                               atol=1e-4, rtol=1e-3)


def test_latency_shifts_the_correlation_peak_exactly():
    room = one_room()
    room = replace(room, mic_positions=torch.tensor([[[4.0, 2.0, 1.5], [2.0, 4.0, 1.5]]]))
    late = Acoustics(latency=torch.tensor([[0.0, 0.37e-3]]))  # at equal distances
    first, second = room_spectra(room, 0, N_FFT, RATE, late)[0].numpy()
    correlation = np.fft.irfft(second * np.conj(first), 64 * N_FFT)
    peak = np.argmax(correlation) / (64 * RATE)
    assert peak == pytest.approx(0.37e-3, abs=1e-6)


def test_air_attenuates_distant_images_as_in_iso_9613():
    per_metre = torch.tensor([[air_attenuation(band) for band in BANDS]])
    air = Acoustics(air=NEPERS_PER_DB * per_metre)
    room = replace(one_room((0, 0)), dims=torch.tensor([[40.0, 5.0, 3.0]]),
                   source_position=torch.tensor([[30.0, 2.0, 1.5]]))
    lost = reflection(room, air) / reflection(room, Acoustics())  # from an image 34 m away
    np.testing.assert_allclose(-20 * lost.log10(), 34 * per_metre, atol=0.03)


def test_microphone_response_scales_all_paths():
    response = torch.tensor([[[0.5, 0.7, 1.0, 1.2, 1.5, 2.0]]])
    found = at_bands(one_room(), 0, Acoustics(response=response))
    np.testing.assert_allclose(found * 2.0, response[0], atol=1e-2)


def test_images_are_jittered_but_not_the_talker_and_none_arrives_before():
    rooms = draw_rooms(PRESETS['hard'], 4, 20, generator())
    still = trace_paths(rooms, Acoustics(), 6, normal)[0]
    moved = trace_paths(rooms, Acoustics(image_jitter=torch.full((20,), 0.2),
                                         gain_jitter=torch.zeros(20)), 6, normal)[0]
    orders = image_geometry(rooms, 6).orders
    assert torch.equal(moved[..., orders == 0], still[..., orders == 0])
    assert (moved >= moved[..., orders == 0]).all()
    shift = moved - still
    for order in (4, 5, 6):  # late enough for full jitter; one axis of three is along the path
        assert shift[..., orders == order].std() == pytest.approx(0.2 * order ** 0.5, rel=0.1)


def test_gain_jitter_grows_with_the_order_and_keeps_the_power():
    orders = torch.tensor([0.0, 1.0, 4.0]).repeat_interleave(4000)
    gains = jittered_gains(torch.ones(1, 6, 12000), torch.tensor([0.2]), orders, normal)
    talker, once, often = gains[0].split(4000, dim=1)
    assert (talker == 1).all()
    assert once.log().std() == pytest.approx(0.2, rel=0.05)
    assert often.log().std() == pytest.approx(0.4, rel=0.05)
    assert often.square().mean() == pytest.approx(1.0, abs=0.05)


def test_tensors_that_belong_together_are_required():
    with pytest.raises(ValueError, match='mic_axis and mic_pattern'):
        Acoustics(mic_axis=torch.ones(1, 1, 3))
    rooms = draw_rooms(PRESETS['hard'], 2, 1, generator())
    with pytest.raises(ValueError, match='need a generator'):
        room_spectra(rooms, 1, N_FFT, RATE, Acoustics(image_jitter=torch.ones(1),
                                                      gain_jitter=torch.ones(1)))
