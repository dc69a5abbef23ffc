"""The manifest tells the truth about the code."""

import ast
from importlib.util import module_from_spec
from importlib.util import spec_from_file_location
import sys
from xml.etree import ElementTree

import pytest
from support.paths import ROOT

# What an import is called in package.xml, where the names differ.
KEYS = {
    'numpy': 'python3-numpy', 'scipy': 'python3-scipy', 'torch': 'python3-torch',
    'matplotlib': 'python3-matplotlib', 'PIL': 'python3-pil', 'soundfile': 'python3-soundfile',
    'tqdm': 'python3-tqdm', 'av': 'python3-av-pip', 'lightning': 'python3-lightning-pip',
    'pyroomacoustics': 'python3-pyroomacoustics-pip', 'safetensors': 'python3-safetensors-pip',
    'pytransform3d': 'python3-pytransform3d-pip', 'rosbags': 'python3-rosbags-pip',
    'ruamel': 'python3-ruamel.yaml', 'stonesoup': 'python3-stonesoup-pip',
    'onnxruntime': 'python3-onnxruntime-pip', 'numba': 'python3-numba-pip',
    'xsrp': 'python3-xsrp-pip',
    # Where ROS is installed its own package does this one's work (see transforms.py).
    'transforms3d': 'tf_transformations',
}
ROBOT = ('core', 'audio', 'tracking', 'localization', 'pipeline', 'ros', 'bags')
OPTIONAL = {'python3-torch', 'python3-numba-pip', 'python3-matplotlib'}
"""What a robot may have: torch in place of ONNX Runtime, compiled loops, a picture of a bag."""


def imports(*paths):
    """Return the top-level modules that Python files import, ours and Python's own left out."""
    found = set()
    for path in paths:
        for file in [path] if path.is_file() else path.rglob('*.py'):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Import):
                    found |= {alias.name.split('.')[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom):
                    found.add(node.module.split('.')[0])
    found -= set(sys.stdlib_module_names) | {'nsrp_ros'}
    return {KEYS.get(name, name) for name in found}


@pytest.fixture
def manifest():
    """Return the parsed package.xml."""
    return ElementTree.parse(ROOT / 'package.xml').getroot()


def test_a_robot_depends_on_what_it_imports_and_nothing_else(manifest):
    """An exec_depend for each import of the robot's side and the launch files, and no other."""
    declared = {e.text for e in manifest.findall('exec_depend')}
    robot = imports(*(ROOT / 'nsrp_ros' / name for name in ROBOT), ROOT / 'launch')
    assert robot - OPTIONAL == declared


def test_the_laboratory_is_declared_for_tests(manifest):
    """All that the package imports beyond that is a test_depend."""
    declared = {e.text for kind in ('exec_depend', 'test_depend') for e in manifest.findall(kind)}
    assert imports(ROOT / 'nsrp_ros') <= declared


def test_setup_agrees_with_the_manifest(manifest):
    """Name, version, licence and maintainer are the same in setup.py."""
    text = (ROOT / 'setup.py').read_text()
    maintainer = manifest.find('maintainer')
    for value in (manifest.find('name').text, manifest.find('version').text,
                  manifest.find('license').text, maintainer.text, maintainer.get('email')):
        assert f"'{value}'" in text


def test_rosdep_keys_that_rosdep_lacks_are_defined_here(manifest):
    """Every -pip key of the manifest stands in rosdep.yaml."""
    text = (ROOT / 'rosdep.yaml').read_text()
    for depend in manifest.findall('exec_depend') + manifest.findall('test_depend'):
        if depend.text.endswith('-pip'):
            assert f'{depend.text}:' in text


def test_pages_made_of_the_code_are_up_to_date():
    """The reasons for skipping and the map of modules; `tools/write_reference.py` writes them."""
    spec = spec_from_file_location('write_reference', ROOT / 'tools/write_reference.py')
    pages = module_from_spec(spec)
    spec.loader.exec_module(pages)
    assert pages.SKIP_REASONS.read_text() == pages.skip_reasons()
    assert pages.ARCHITECTURE.read_text() == pages.architecture()
