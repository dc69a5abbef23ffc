"""The rules of imports: who may import whom, and what a robot does without."""

import ast
from functools import lru_cache
from pathlib import Path
import re
import subprocess
import sys

import numpy as np
import pytest
from support.paths import ROOT

ROBOT = {'core', 'audio', 'networks', 'tracking', 'localization', 'pipeline', 'ros', 'bags'}
LABORATORY = {'simulation', 'datasets', 'training', 'evaluation', 'benchmarks'}
MAY_IMPORT = {  # besides itself
    'core': set(),
    'audio': {'core'}, 'networks': {'core'}, 'simulation': {'core'}, 'tracking': {'core'},
    'localization': {'core'},
    'pipeline': {'core', 'audio', 'localization', 'tracking'},
    'ros': {'core', 'audio', 'localization', 'tracking', 'pipeline'},
    'bags': {'core', 'audio', 'localization', 'tracking', 'pipeline'},
    'datasets': {'core', 'simulation'},
    'training': {'core', 'simulation', 'datasets', 'networks'},
    'evaluation': ROBOT - {'ros', 'bags'} | LABORATORY - {'benchmarks'},
    'benchmarks': ROBOT - {'ros', 'bags'} | LABORATORY,
    'apps': ROBOT | LABORATORY,
}
EXCEPTIONS = {
    ('localization/weights.py', 'networks'), ('localization/neural_srp.py', 'networks'),
    ('localization/backprojection/any_surroundings.py', 'networks'),
    ('localization/backprojection/torch_batches.py', 'networks'),
    ('ros/simulated_room_node.py', 'simulation'), ('training/export_onnx.py', 'localization')}
"""Single modules that may import one folder more; and all of torch_cpu, see `may`."""
ROS = {'rclpy', 'rcl_interfaces', 'tf2_ros', 'tf_transformations', 'launch', 'launch_ros',
       'ament_index_python'}
LONG = 250
"""Lines of a module beyond which its docstring has to say why."""


def modules():
    """Return all modules of the package, as paths from its folder."""
    return sorted(path.relative_to(ROOT / 'nsrp_ros')
                  for path in (ROOT / 'nsrp_ros').rglob('*.py'))


@lru_cache(maxsize=None)
def imports(path, at_start=False):
    """Return the dotted names that a module imports; only while it is imported, if asked."""
    tree = ast.parse((ROOT / 'nsrp_ros' / path).read_text())
    if at_start:  # functions run later, and what only types need never
        nodes = [n for top in tree.body if not isinstance(top, (ast.FunctionDef, ast.If))
                 for n in ([top] if not isinstance(top, ast.ClassDef) else top.body)]
    else:
        nodes = ast.walk(tree)
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            # A name that is imported may be a module itself.
            found |= {f'{node.module}.{alias.name}' for alias in node.names}
    return found


def folder(path):
    """Return the folder of a module right below the package; '' for the package itself."""
    return path.parts[0] if len(path.parts) > 1 else ''


def folders_imported(path):
    """Return the folders of this package that a module imports."""
    return {name.split('.')[1] for name in imports(path) if name.startswith('nsrp_ros.')}


def may(path, other):
    """Return whether a module may import from a folder."""
    own = folder(path)
    return (other == own or other in MAY_IMPORT[own] or (str(path), other) in EXCEPTIONS
            or ('torch_cpu' in path.parts and other == 'networks'))


def test_arrows_only_point_downwards():
    """Every import is one that the rules allow, and every folder has a rule."""
    assert {folder(path) for path in modules()} - {''} == set(MAY_IMPORT)
    wrong = {f'{path} imports {other}' for path in modules() if folder(path)
             for other in folders_imported(path) if not may(path, other)}
    assert not wrong


def test_the_exceptions_are_needed():
    """Who needs none any more is taken off the list."""
    unused = {(path, other) for path, other in EXCEPTIONS
              if other not in folders_imported(Path(path))}
    assert not unused


def test_only_nodes_and_commands_import_ros():
    """Messages and rclpy stay in `ros` and `apps`."""
    wrong = {f'{path} imports {name}' for path in modules()
             if folder(path) not in ('ros', 'apps') for name in imports(path)
             if name.split('.')[0] in ROS or name.split('.')[0].endswith('_msgs')}
    assert not wrong


def test_core_needs_numpy_and_scipy_only():
    """And Python's own modules."""
    wrong = {f'{path} imports {name}' for path in modules() if folder(path) == 'core'
             for name in imports(path)
             if name.split('.')[0] not in {'nsrp_ros', 'numpy', 'scipy'} | sys.stdlib_module_names}
    assert not wrong


def test_nobody_starts_the_commands_of_apps():
    """As a process, either: apps stand above everything."""
    wrong = {f'{path} names {node.value}' for path in modules()
             if folder(path) not in ('apps', '')
             for node in ast.walk(ast.parse((ROOT / 'nsrp_ros' / path).read_text()))
             if isinstance(node, ast.Constant) and isinstance(node.value, str)
             and re.fullmatch(r'nsrp_ros\.apps[.\w]*', node.value)}
    assert not wrong


def test_there_are_no_cycles():
    """Modules can be put into an order in which each imports earlier ones only."""
    names = {'.'.join(('nsrp_ros', *path.with_suffix('').parts)).removesuffix('.__init__'): path
             for path in modules()}

    def needed(path):
        # What is imported later, in functions, cannot keep a module from being imported.
        for name in imports(path, at_start=True):
            for known in (name, name.rpartition('.')[0]):
                if known in names and names[known] != path:
                    yield names[known]
                    break
    state = {}

    def visit(path, above):
        assert state.get(path) != 'open', ' -> '.join(map(str, (*above, path)))
        if path not in state:
            state[path] = 'open'
            for other in needed(path):
                visit(other, (*above, path))
            state[path] = 'done'
    for path in modules():
        visit(path, ())


def test_folders_and_modules_are_small():
    """Fifteen modules a folder at most; a module above 250 lines says why in its docstring."""
    counts = {}
    for path in modules():
        if path.name != '__init__.py':
            counts[path.parent] = counts.get(path.parent, 0) + 1
        lines = (ROOT / 'nsrp_ros' / path).read_text()
        if lines.count('\n') > LONG:
            doc = ast.get_docstring(ast.parse(lines)) or ''
            assert 'longer than others' in doc, f'{path}: {lines.count(chr(10))} lines'
    assert max(counts.values()) <= 15, counts


BLOCKED = ('torch', 'lightning', 'av', 'matplotlib', 'pyroomacoustics')
BLOCK = f"""
from importlib.abc import MetaPathFinder
import sys
class Missing(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.split('.')[0] in {BLOCKED!r}:
            raise ModuleNotFoundError('No module named ' + name, name=name)
sys.meta_path.insert(0, Missing())
"""


@pytest.mark.parametrize('module', [
    'nsrp_ros', 'nsrp_ros.ros.localizer_node', 'nsrp_ros.ros.tracker_node',
    'nsrp_ros.ros.follower_node', 'nsrp_ros.ros.audio_player_node',
    'nsrp_ros.bags.localize_bag', 'nsrp_ros.tracking.tracker'])
def test_a_robot_does_without_the_laboratory(module):
    """What runs on one is imported where torch and the laboratory's libraries cannot be."""
    program = f'{BLOCK}\nimport {module}\nfrom nsrp_ros import Localizer, TalkerTracker, AudioBag'
    result = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_the_default_method_locates_without_torch(anechoic, tmp_path):
    """On ONNX Runtime, as right as ever; a method that has no such file says what it needs."""
    np.savez(tmp_path / 'scene.npz', signals=anechoic.signals(), mics=anechoic.mic_positions)
    program = f"""{BLOCK}
import numpy as np
from nsrp_ros import Localizer
from nsrp_ros.core.model_files import WeightsError
scene = np.load({str(tmp_path / 'scene.npz')!r})
print(*Localizer.load().locate(scene['signals'], 16000, scene['mics'], (6, 5, 3)).position)
try:
    Localizer.load('neural_srp')
except WeightsError as error:
    print(error)
"""
    result = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    place, sentence = result.stdout.splitlines()
    found = np.array(place.split(), dtype=float)
    assert np.linalg.norm(found - anechoic.source_position[:2]) < 0.15
    assert 'needs torch' in sentence
