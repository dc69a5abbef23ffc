"""The baseline finds several talkers in free air, where it is told to search."""

from nsrp_ros.core.surroundings import Surroundings
from nsrp_ros.evaluation.baselines.multi_source_srp import locate_several
import numpy as np
from support.anechoic import Anechoic
from support.anechoic import propagate

TALKERS = np.array([[4.2, 3.1, 1.5], [1.2, 1.8, 1.3]])


def heard():
    """Return signals of both talkers, the first one louder, with an offset."""
    generator = np.random.default_rng(0)
    mics = Anechoic.mic_positions
    return 0.5 + sum(level * propagate(generator.standard_normal(8000), talker, mics)
                     for level, talker in zip((1.0, 0.7), TALKERS, strict=True))


def test_both_talkers_are_found():
    """Within a few centimetres, the one with the higher power first."""
    first, second = locate_several(heard(), Anechoic.mic_positions,
                                   Surroundings.box(Anechoic.room_dims), 2)
    assert np.linalg.norm(first.position - TALKERS[0]) < 0.1
    assert np.linalg.norm(second.position - TALKERS[1]) < 0.1
    assert 1 > first.power > second.power > 0


def test_the_search_area_is_kept():
    """Who is outside the outline is not found; its frame is the map's."""
    shift = np.array([-10.0, 4.0, 0.0])
    outline = np.array([(0, 0), (6, 0), (6, 2.5), (3, 2.5), (3, 5), (0, 5)]) + shift[:2]
    surroundings = Surroundings.prism(outline, (0, 3))
    found = locate_several(heard(), Anechoic.mic_positions + shift, surroundings, 2)
    assert surroundings.contains([peak.position for peak in found]).all()
    nearest = min(np.linalg.norm(peak.position - shift - TALKERS[1]) for peak in found)
    assert nearest < 0.1
