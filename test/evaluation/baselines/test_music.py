"""Directions of a small array are those of the talker."""

from nsrp_ros.evaluation.baselines.music import ALGORITHMS
from nsrp_ros.evaluation.baselines.music import locate_direction
import numpy as np
import pytest
from support.anechoic import propagate

ANGLES = np.radians([45, 135, 225, 315])
RING = 0.05 * np.stack([np.cos(ANGLES), np.sin(ANGLES), 0 * ANGLES], axis=1)


@pytest.mark.parametrize('algorithm', ALGORITHMS)
@pytest.mark.parametrize('azimuth, elevation', [(-150, 0), (20, 20), (179, 40)])
def test_an_anechoic_talker_is_found(algorithm, azimuth, elevation):
    """In free air, within a few degrees, wherever the array stands."""
    generator = np.random.default_rng(0)
    centre = np.array([2.0, 1.0, 0.8])
    a, e = np.radians([azimuth, elevation])
    talker = centre + 2.5 * np.array([np.cos(a) * np.cos(e), np.sin(a) * np.cos(e), np.sin(e)])
    signals = propagate(generator.standard_normal(8000), talker, centre + RING)
    signals = signals + 0.05 * generator.standard_normal(signals.shape) + 0.5
    found = locate_direction(signals, centre + RING, algorithm)
    turned = np.degrees(np.angle(np.exp(1j * (found.azimuth - a))))
    assert abs(turned) <= 2
    # A flat array cannot tell up from down.
    assert abs(abs(np.degrees(found.elevation)) - elevation) <= 10


def test_short_windows_are_refused():
    """The sentence says how long they have to be."""
    with pytest.raises(ValueError, match='shorter than a frame of 512'):
        locate_direction(np.zeros((4, 500)), RING)
