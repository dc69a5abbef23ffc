"""The engine for ONNX Runtime estimates as the one for torch does, and needs no torch."""

from dataclasses import asdict
import os
import subprocess
import sys

from nsrp_ros.core.config import BackprojectionConfig
from nsrp_ros.core.model_files import find_weights
from nsrp_ros.core.model_files import WeightsError
from nsrp_ros.localization.backprojection.approximations import Approximations
from nsrp_ros.localization.backprojection.engine import OnnxBackprojector
from nsrp_ros.localization.backprojection.onnx_session import OnnxNetwork
from nsrp_ros.localization.backprojection.onnx_session import save_graphs
from nsrp_ros.localization.backprojection.torch_batches import Backprojector
from nsrp_ros.localization.localizer import Localizer
from nsrp_ros.networks.backprojection import Backprojection
from nsrp_ros.networks.checkpoint import load_checkpoint
from nsrp_ros.networks.checkpoint import save_checkpoint
from nsrp_ros.training import export_onnx
import numpy as np
import pyroomacoustics
import pytest
from support.paths import ROOT
import torch

SMALL = BackprojectionConfig(channels=8, map_channels=8, dilations=(1, 4), map_blocks=1,
                             weightings=('loud', 'onset'))


@pytest.fixture(scope='module')
def both():
    """Load the network that the package ships, for torch (32 bits) and for ONNX Runtime."""
    torch_one = Backprojector(load_checkpoint(find_weights('backprojection')),
                              approximations=Approximations(bfloat16=False))
    return torch_one, OnnxBackprojector(OnnxNetwork.load(find_weights('backprojection.onnx')))


def reverberant(n_mics, rt60=0.4):
    """Return signals, microphones and room of a talker of amplitude-modulated noise."""
    rng = np.random.default_rng(n_mics)
    dims = np.array([6.0, 5.0, 3.0])
    mics = rng.uniform([0.3, 0.3, 0.5], [5.7, 4.7, 2.2], (n_mics, 3))
    absorption, _ = pyroomacoustics.inverse_sabine(rt60, dims)
    room = pyroomacoustics.ShoeBox(dims, fs=16000, max_order=10,
                                   materials=pyroomacoustics.Material(absorption))
    time = np.arange(12000) / 16000
    noise = rng.standard_normal(len(time)) * np.sin(2 * np.pi * 4 * time) ** 2
    room.add_source([4.2, 3.1, 1.5], signal=noise)
    room.add_microphone_array(mics.T)
    room.simulate()
    signals = room.mic_array.signals[:, 3000:11000]
    return (signals / np.abs(signals).max() / 4).astype(np.float32), mics, dims


def assert_alike(one, other):
    """
    Compare two estimates to a centimetre, or to 3 % of the posterior's spread where that is more.

    The cells that are computed are rounded up to a multiple of 64 by the next likeliest. Many of
    these have exactly the same probability, that of one coarse cell, and the engines take others
    of them, which ones depends on rounding and so on the processor. The others are interpolated.
    """
    spread = np.sqrt(np.trace(one.covariance))
    assert np.linalg.norm(one.position - other.position) < max(0.01, 0.03 * spread)
    assert one.height == pytest.approx(other.height, abs=0.03)
    assert one.presence == pytest.approx(other.presence, abs=0.02)
    assert one.confidence == pytest.approx(other.confidence, abs=0.02)
    np.testing.assert_allclose(one.likelihood_map, other.likelihood_map, atol=0.02)
    np.testing.assert_allclose(one.covariance, other.covariance, rtol=0.02, atol=0.01)
    np.testing.assert_array_equal(one.x, other.x)


@pytest.mark.parametrize('n_mics', (3, 6))
def test_in_free_field_it_estimates_as_torch_does(both, anechoic, n_mics):
    """The same place, height, map and confidence."""
    scene = anechoic.signals()[:n_mics], anechoic.mic_positions[:n_mics], anechoic.room_dims
    assert_alike(*(method.estimate(*scene) for method in both))


@pytest.mark.parametrize('n_mics', (2, 4, 12))
def test_in_a_reverberant_room_it_estimates_as_torch_does(both, n_mics):
    """Reflections, few pairs, and so many that not all of them are selected."""
    scene = reverberant(n_mics)
    assert_alike(*(method.estimate(*scene) for method in both))


def test_it_evaluates_an_area(both, anechoic):
    """Area and shape mean the same."""
    scene = anechoic.signals(), anechoic.mic_positions, anechoic.room_dims
    area, shape = [(3, 2), (5.5, 4.5)], (14, 17)
    one, other = (method.estimate(*scene, area, shape) for method in both)
    assert one.likelihood_map.shape == other.likelihood_map.shape == shape
    assert_alike(one, other)


def test_microphones_that_move_are_noticed(both, anechoic):
    """Projections that are cached for some positions are not used for others."""
    caching, dims = both[1], anechoic.room_dims
    for offset in ([0, 0, 0], [0.3, -0.2, 0.1], [0, 0, 0]):
        scene = anechoic.signals(), anechoic.mic_positions + offset, dims
        assert_alike(both[0].estimate(*scene), caching.estimate(*scene))


def test_silence_has_no_talker(both, anechoic):
    """A window of zeros gives a flat map; a single silent channel is left out."""
    signals = anechoic.signals()
    estimate = both[1].estimate(0 * signals, anechoic.mic_positions, anechoic.room_dims)
    assert estimate.presence == 0 and np.ptp(estimate.likelihood_map) < 1e-9
    signals[2] = 0
    scene = signals, anechoic.mic_positions, anechoic.room_dims
    assert_alike(*(method.estimate(*scene) for method in both))


def test_any_such_network_can_be_exported(tmp_path, anechoic):
    """The command writes what `Localizer.load` takes, also without learned weightings."""
    torch.manual_seed(0)
    for settings in ({'shared_bins': 4, 'activation': 'relu'},
                     {'learned_weightings': 0, 'whole_window': False}):
        model = Backprojection(BackprojectionConfig(**{**asdict(SMALL), **settings,
                                                       'confidence': SMALL.confidence})).eval()
        for parameter in model.parameters():  # residual blocks start at zero, which hides faults
            torch.nn.init.normal_(parameter, std=0.1)
        weights = tmp_path / 'small.safetensors'
        save_checkpoint(weights, model, 'small')
        export_onnx.main([str(weights)])
        scene = (anechoic.signals(), anechoic.sample_rate, anechoic.mic_positions,
                 anechoic.room_dims)
        written = Localizer.load(str(tmp_path / 'small.onnx.zip'))
        assert written.config == model.config
        model = Backprojector(model, approximations=Approximations(bfloat16=False))
        assert_alike(written.locate(*scene), Localizer(model).locate(*scene))


def test_networks_that_cannot_be_exported_are_refused(tmp_path, capsys):
    """Neither those without echo features nor the paper's."""
    with pytest.raises(ValueError, match='echoes'):
        export_onnx.export(Backprojection(BackprojectionConfig(echo_channels=0)))
    for arguments in (['neural_srp', str(tmp_path / 'a.onnx.zip')],
                      ['backprojection', str(tmp_path / 'a.onnx')]):
        with pytest.raises(SystemExit):
            export_onnx.main(arguments)
    assert 'must end in .onnx.zip' in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def blocking(module):
    """Return code after which importing a module fails, as where it is not installed."""
    return f"""
import sys
from importlib.machinery import PathFinder
class Without(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.split('.')[0] == {module!r} else super().find_spec(name, path, target)
sys.meta_path[:] = [Without if finder is PathFinder else finder for finder in sys.meta_path]
import numpy as np
from nsrp_ros.localization.localizer import Localizer
from nsrp_ros.core.model_files import WeightsError
"""


def run(code):
    """Run code in a process of its own; return what it prints."""
    root = str(ROOT)
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, timeout=60,
                          env={**os.environ, 'PYTHONPATH': root, 'OMP_NUM_THREADS': '1'})
    assert done.returncode == 0, done.stderr
    return done.stdout


LOCATE = """
signals = np.random.default_rng(0).normal(size=(3, 24000))
mics = [[1, 1, 1], [5, 1, 1.5], [3, 4, 1.2]]
"""


def test_it_works_where_torch_cannot_be_imported():
    """Resampling, SRP and networks that have an ONNX file locate; others say what they need."""
    printed = run(blocking('torch') + LOCATE + """
for method in ('backprojection.onnx', 'backprojection', 'srp_phat_2d'):
    found = Localizer.load(method).locate(signals, 48000, mics, [6, 5, 3])
    print(found.likelihood_map.shape, np.isfinite(found.position).all())
try:
    Localizer.load('neural_srp')
except WeightsError as error:
    print(error)
""")
    assert printed.count('(25, 25) True') == 3
    assert "method 'neural_srp' needs torch" in printed


def test_without_onnx_runtime_it_says_what_to_install():
    """A clear sentence, and torch's networks work all the same."""
    printed = run(blocking('onnxruntime') + LOCATE + """
try:
    Localizer.load('backprojection.onnx')
except WeightsError as error:
    print(error)
print(Localizer.load('backprojection').config.channels)
""")
    assert 'pip install onnxruntime' in printed
    assert printed.endswith('64\n')


@pytest.mark.parametrize('damage', ('truncated', 'empty', 'noise', 'flipped', 'locked', 'foreign',
                                    'incomplete', 'graph', 'settings'))
def test_a_damaged_file_is_refused_with_its_name(tmp_path, damage):
    """Whatever is wrong with a file, the error is one that the node reports."""
    path = tmp_path / 'broken.onnx.zip'
    whole = bytearray(find_weights('backprojection.onnx').read_bytes())
    config = asdict(SMALL)
    if damage in ('truncated', 'empty', 'noise'):
        path.write_bytes({'truncated': whole[:len(whole) // 2], 'empty': b'',
                          'noise': bytes(range(256)) * 20}[damage])
    elif damage == 'flipped':
        whole[len(whole) // 2] ^= 0xff
        path.write_bytes(whole)
    elif damage == 'locked':
        at = whole.find(b'PK\x01\x02')
        while at >= 0:  # every entry of the directory says that it is encrypted
            whole[at + 8] |= 1
            at = whole.find(b'PK\x01\x02', at + 1)
        path.write_bytes(whole)
    elif damage == 'foreign':
        path.write_bytes(b'PK\x05\x06' + bytes(18))  # an empty zip
    elif damage == 'incomplete':
        save_graphs(path, config, {'lags': b''})
    elif damage == 'graph':
        save_graphs(path, config, dict.fromkeys(
            ('weightings', 'lags', 'gates', 'project', 'read'), b'not a graph'))
    else:
        save_graphs(path, {**config, 'activation': 'tanh'}, {})
    with pytest.raises(WeightsError, match='broken'):
        Localizer.load(str(path))


def test_it_runs_on_the_cpu_only():
    """Another device is refused, not ignored."""
    with pytest.raises(WeightsError, match='CPU'):
        Localizer.load('backprojection.onnx', 'cuda:0')
    with pytest.raises(WeightsError, match=r'backprojection\.onnx'):
        Localizer.load('nothing.onnx')
