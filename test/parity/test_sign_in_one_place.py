"""One function decides the sign of every TDOA: reversed there, all methods are wrong together."""

import json
import os
import subprocess
import sys

from support.paths import ROOT

# In a fresh process, because compiled loops and imported names keep the function they began with.
LOCATE = """
import json
import sys
from nsrp_ros.core import geometry
if {reversed}:
    geometry.path_difference = lambda first, second: second - first
import numpy as np
from nsrp_ros.core.model_files import find_weights
from nsrp_ros.localization.backprojection.compiled_correlation import compiled_kernels
from nsrp_ros.localization.backprojection.torch_batches import Backprojector
from nsrp_ros.localization.localizer import Localizer
from nsrp_ros.networks.checkpoint import load_checkpoint
from support.anechoic import Anechoic
room = Anechoic()
scene = room.signals(), room.sample_rate, room.mic_positions, room.room_dims
networks = 'backprojection', 'backprojection.onnx'

def error(localizer):
    return float(np.linalg.norm(localizer.locate(*scene).position - room.source_position[:2]))

plain = Backprojector(load_checkpoint(find_weights('backprojection')), approximations=None)
errors = {{'without approximations': error(Localizer(plain))}}
for method in ('srp_phat', 'srp_phat_2d', *networks):
    errors[method] = error(Localizer.load(method))
sys.modules['numba'] = None
compiled_kernels.cache_clear()
for method in networks:
    errors[method + ' without Numba'] = error(Localizer.load(method))
print(json.dumps(errors))
"""


def errors(is_reversed, **environment):
    """Return the error of each method, metres, in a process of its own."""
    environment = {**os.environ, 'OMP_NUM_THREADS': '1',
                   'PYTHONPATH': f'{ROOT}:{ROOT / "test"}', **environment}
    done = subprocess.run([sys.executable, '-c', LOCATE.format(reversed=is_reversed)],
                          capture_output=True, text=True, timeout=100, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_one_function_decides_every_sign(tmp_path):
    """Each method is right, and more than a metre wrong where that function is reversed."""
    right = errors(False)
    # Compiled loops that are cached have the right sign, and those of this test must not be kept.
    wrong = errors(True, NUMBA_CACHE_DIR=str(tmp_path))
    assert right.keys() == wrong.keys() and len(right) == 7
    assert max(right.values()) < 0.3, right
    assert min(wrong.values()) > 1.0, wrong
