"""The manifest tells the truth about the code."""

import ast
import re
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
    # Where ROS is installed its own package does this one's work (see transforms.py).
    'transforms3d': 'tf_transformations',
}
OPTIONAL = {'python3-onnxruntime-pip', 'python3-numba-pip'}
"""What takes the place of torch, or saves time beside it, where it is wanted."""


def imports(*folders):
    """Return the top-level modules that Python files import, ours and Python's own left out."""
    found = set()
    for folder in folders:
        for path in (ROOT / folder).rglob('*.py'):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    found |= {alias.name.split('.')[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom):
                    found.add(node.module.split('.')[0])
    return found - set(sys.stdlib_module_names) - {'nsrp_ros'}


@pytest.fixture
def manifest():
    """Return the parsed package.xml."""
    return ElementTree.parse(ROOT / 'package.xml').getroot()


def test_every_import_is_declared_and_every_declaration_used(manifest):
    """An exec_depend for each import of the package and its launch files, and no other."""
    declared = {e.text for e in manifest.findall('exec_depend')}
    used = {KEYS.get(name, name) for name in imports('nsrp_ros', 'launch')}
    assert used - OPTIONAL == declared
    assert {e.text for e in manifest.findall('test_depend')} >= OPTIONAL


def test_setup_agrees_with_the_manifest(manifest):
    """Name, version, licence and maintainer are the same in setup.py."""
    text = (ROOT / 'setup.py').read_text()
    maintainer = manifest.find('maintainer')
    for value in (manifest.find('name').text, manifest.find('version').text,
                  manifest.find('license').text, maintainer.text, maintainer.get('email')):
        assert f"'{value}'" in text


def test_the_core_imports_no_ros():
    """Few libraries are all that the core stands on."""
    assert imports('nsrp_ros/core') <= {'numpy', 'scipy', 'torch', 'safetensors', 'stonesoup',
                                        'onnxruntime', 'numba'}
    ros = {'rclpy', 'rcl_interfaces', 'geometry_msgs', 'nav_msgs', 'audio_common_msgs'}
    assert not imports('nsrp_ros/training') & ros


def test_rosdep_keys_that_rosdep_lacks_are_defined_here(manifest):
    """Every -pip key of the manifest stands in rosdep.yaml."""
    text = (ROOT / 'rosdep.yaml').read_text()
    for depend in manifest.findall('exec_depend') + manifest.findall('test_depend'):
        if depend.text.endswith('-pip'):
            assert f'{depend.text}:' in text


def test_the_map_of_the_house_shows_every_room():
    """No module is missing in the architecture page, and none stands there that is gone."""
    text, folders = (ROOT / 'docs/explanation/architecture.md').read_text(), {}
    for part in text.split('\n## ')[1:]:
        folders[part.split('\n')[0]] = set(re.findall(r'^\| `(\w+\.py)` \|', part, re.M))
    there = {}
    for path in (ROOT / 'nsrp_ros').rglob('*.py'):
        there.setdefault(str(path.parent.relative_to(ROOT)), set()).add(path.name)
    assert folders == {folder: names - {'__init__.py'} for folder, names in there.items()}
