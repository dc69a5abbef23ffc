"""The registry: a method is one class and one line."""

from dataclasses import dataclass
import subprocess
import sys

from nsrp_ros import Localizer
from nsrp_ros import Surroundings
from nsrp_ros.core.config import Confidence
from nsrp_ros.core.estimate import Estimate
from nsrp_ros.core.estimate import from_scores
from nsrp_ros.core.geometry import cell_centres
from nsrp_ros.core.model_files import find_weights
from nsrp_ros.core.model_files import WeightsError
from nsrp_ros.localization import methods
from nsrp_ros.localization.backprojection.torch_batches import Backprojector
from nsrp_ros.localization.methods import BatchMethod
from nsrp_ros.localization.methods import Method
from nsrp_ros.localization.methods import PosteriorMethod
from nsrp_ros.localization.methods import SurroundingsMethod
from nsrp_ros.localization.methods import TalkersMethod
from nsrp_ros.localization.methods.srp import SRP_CONFIGS
from nsrp_ros.localization.srp_phat import SrpPhat
from nsrp_ros.networks.checkpoint import load_checkpoint
import numpy as np
import pytest


@dataclass(frozen=True)
class CentreConfig:
    """Of a method that always answers with the room's centre."""

    sample_rate: int = 8000
    confidence: Confidence = Confidence()


class Centre:
    """The smallest method there is."""

    def __init__(self):
        self.config = CentreConfig()
        self.lengths = []

    def estimate(self, signals, mic_positions, room_dims):
        """Answer with the middle one of nine cells."""
        self.lengths.append(signals.shape[1])
        scores = np.zeros((3, 3))
        scores[1, 1] = 1
        return from_scores(scores, cell_centres(room_dims[0], 3), cell_centres(room_dims[1], 3),
                           self.config.confidence, len(signals))


@pytest.fixture(scope='module')
def centre():
    """Register the method."""
    method = Centre()
    methods.register('centre_of_the_room', lambda device, threads: method)
    return method


def test_a_registered_method_is_listed_loaded_and_located_with(centre, anechoic):
    """By its name, at the sample rate that its config wants."""
    assert isinstance(centre, Method) and not isinstance(centre, BatchMethod)
    assert 'centre_of_the_room' in Localizer.methods()
    localizer = Localizer.load('centre_of_the_room')
    scene = anechoic.signals(), 16000, anechoic.mic_positions, anechoic.room_dims
    np.testing.assert_allclose(localizer.locate(*scene).position, anechoic.room_dims[:2] / 2)
    assert centre.lengths == [anechoic.signals().shape[1] // 2]
    assert len(localizer.locate_all([scene, scene])) == 2
    with pytest.raises(ValueError, match='area can be asked of backprojection only'):
        localizer.locate(*scene, area=[[0, 0], [1, 1]])


def test_a_name_is_given_once(centre):
    """Two methods of one name would be told apart by luck."""
    with pytest.raises(ValueError, match="there is a method 'srp_phat' already"):
        methods.register('srp_phat', lambda device, threads: centre)


class Chorus:
    """A method that knows surroundings, and finds as many talkers as there are microphones."""

    takes_surroundings = True

    def __init__(self):
        self.config = CentreConfig()
        self.given = []

    def estimate(self, signals, mic_positions, surroundings, area=None, shape=None):
        """Answer with the middle of the search area."""
        self.given.append((surroundings, area, shape))
        return self._at(surroundings, 0.5)

    def estimate_talkers(self, signals, mic_positions, surroundings, most):
        """Answer with one a microphone, the last the surest."""
        self.given.append((surroundings, most))
        return [self._at(surroundings, k / 10) for k in range(len(signals))]

    def _at(self, surroundings, confidence):
        middle = (surroundings.lower + surroundings.upper)[:2] / 2
        return Estimate(middle, np.ones((1, 1)), middle[:1], middle[1:], confidence)


def test_a_method_that_takes_surroundings_gets_them_as_they_are(anechoic):
    """With an area and a shape, one by one or many; three lengths come as an exact box."""
    chorus = Chorus()
    assert isinstance(chorus, SurroundingsMethod) and isinstance(chorus, TalkersMethod)
    assert not isinstance(Centre(), SurroundingsMethod)
    localizer = Localizer(chorus)
    room = Surroundings.box((6, 5, 3), (10, 0, 0), 0.5, 0.1)
    scene = anechoic.signals(), 16000, anechoic.mic_positions, room  # microphones are outside
    estimate = localizer.locate(*scene, area=[[9, 1], [11, 2]], shape=(3, 4))
    np.testing.assert_allclose(estimate.position, (room.lower + room.upper)[:2] / 2)
    assert chorus.given.pop() == (room, [[9, 1], [11, 2]], (3, 4))
    assert len(localizer.locate_all([scene, scene])) == 2 and chorus.given.pop()[0] is room
    localizer.locate(*scene[:3], anechoic.room_dims)
    box = chorus.given.pop()[0]
    np.testing.assert_array_equal(box.upper, anechoic.room_dims)
    assert len(box.planes) == 6 and not box.std.any()


def test_talkers_come_the_surest_first(centre, anechoic):
    """No more than asked for; of a method that locates one, that one if anybody talks."""
    chorus = Chorus()
    scene = anechoic.signals(), 16000, anechoic.mic_positions, Surroundings.open(
        (0, 0, 0), anechoic.room_dims)
    found = Localizer(chorus).locate_talkers(*scene, most=2)
    assert [one.confidence for one in found] == [0.5, 0.4]
    assert chorus.given == [(scene[-1], 2)]
    assert len(Localizer(centre).locate_talkers(*scene)) == 1  # it cannot tell silence
    silence = 0 * scene[0], *scene[1:]
    assert len(Localizer.load('backprojection.onnx').locate_talkers(*silence)) == 0
    with pytest.raises(ValueError, match='1 or more talkers'):
        Localizer(chorus).locate_talkers(*scene, most=0)


def test_what_comes_with_the_package_is_listed():
    """Methods without weights, and the weights in models/."""
    names = Localizer.methods()
    assert {*SRP_CONFIGS, 'backprojection', 'backprojection.onnx', 'neural_srp'} <= set(names)
    assert names == sorted(names)
    with pytest.raises(WeightsError, match='no weights for method'):
        Localizer.load('nothing_of_that_name')


def test_what_comes_with_the_package_keeps_the_protocol():
    """SRP-PHAT is a method; the network also takes windows in batches."""
    assert isinstance(SrpPhat(SRP_CONFIGS['srp_phat']), Method)
    network = Backprojector(load_checkpoint(find_weights('backprojection')))
    assert isinstance(network, BatchMethod) and isinstance(network, PosteriorMethod)


def test_another_package_brings_a_method(tmp_path):
    """By an entry point in the group nsrp_ros.methods, which names a module that registers it."""
    (tmp_path / 'their_method.py').write_text(
        'from nsrp_ros.localization.methods import register\n'
        'register("theirs", lambda device, threads: None)\n')
    info = tmp_path / 'their_package-1.0.dist-info'
    info.mkdir()
    (info / 'METADATA').write_text('Metadata-Version: 2.1\nName: their_package\nVersion: 1.0\n')
    (info / 'entry_points.txt').write_text('[nsrp_ros.methods]\ntheirs = their_method\n')
    program = (f'import sys; sys.path.insert(0, {str(tmp_path)!r}); '
               'from nsrp_ros import Localizer; print(Localizer.methods())')
    result = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True)
    assert "'theirs'" in result.stdout, result.stderr
