"""The launch files, on a machine that has launch."""

import os
from pathlib import Path
import signal
import subprocess
import time

from nsrp_ros.ros.localizer_parameters import NodeConfig
from nsrp_ros.simulation.live_scene import DEFAULT_SCENE
import pytest
from support.node_rig import Rig
from support.paths import ROOT
import yaml


@pytest.fixture
def installed():
    """Skip where launch is missing, or this package is not in an ament prefix."""
    # Not `launch` itself: this repository's folder of that name would pass for it.
    pytest.importorskip('launch.actions', reason='ROS launch is not installed here')
    pytest.importorskip('launch_ros.actions', reason='launch_ros is not installed here')
    prefixes = os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep)
    for prefix in prefixes:
        share = Path(prefix) / 'share/nsrp_ros'
        if prefix and (share / 'launch').is_dir():
            return share
    pytest.skip('nsrp_ros is not installed in AMENT_PREFIX_PATH')


def test_the_example_configuration_fits_the_simulated_room():
    """The demo's launch file starts both, so they must agree."""
    text = (ROOT / 'config/localize.yaml').read_text()
    parameters = yaml.safe_load(text)['/**']['localizer']['ros__parameters']
    assert tuple(parameters['room_dims']) == DEFAULT_SCENE.room_dims
    assert parameters['microphone_frames'] == [
        f'mic_{k}' for k in range(len(DEFAULT_SCENE.mic_positions))]


@pytest.mark.parametrize('name', ['localize.yaml', 'two_devices.yaml'])
def test_the_configurations_are_valid(name):
    """What we ship is accepted by what we ship."""
    text = (ROOT / 'config' / name).read_text()
    values = yaml.safe_load(text)['/**']['localizer']['ros__parameters']
    NodeConfig(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})


def test_what_is_installed(installed):
    """Launch files, configuration, RViz file and weights lie in the share folder."""
    for name in ('launch/localize.launch.py', 'launch/demo.launch.py', 'config/localize.yaml',
                 'config/localize.rviz', 'models/backprojection.safetensors', 'package.xml'):
        assert (installed / name).is_file(), name


@pytest.mark.parametrize('name', ['localize.launch.py', 'demo.launch.py'])
def test_every_argument_is_described(installed, name):
    """`ros2 launch --show-args` explains them all."""
    result = subprocess.run(['ros2', 'launch', 'nsrp_ros', name, '--show-args'],
                            capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    for argument in ('params_file', 'namespace', 'use_sim_time', 'rviz', 'method', 'device',
                     'autostart', 'queue_size', 'log_level'):
        assert f"'{argument}':" in result.stdout
    assert 'no description given' not in result.stdout


def test_the_demo_launches(installed, tmp_path):
    """Room and localizer come up in a namespace, and the talker appears on the map."""
    rig = Rig(47, tmp_path, namespace='kitchen')
    with (tmp_path / 'launch.log').open('w') as log:
        process = subprocess.Popen(
            ['ros2', 'launch', 'nsrp_ros', 'demo.launch.py', 'rviz:=false', 'method:=srp_phat',
             'speech:=synthetic', 'rt60:=0.0', 'namespace:=kitchen'],
            env=os.environ | {'ROS_DOMAIN_ID': '47'}, stdout=log, stderr=subprocess.STDOUT)
    try:
        assert rig.spin_until(lambda: len(rig.heard.poses) >= 3 and rig.heard.grids, 60), \
            (tmp_path / 'launch.log').read_text()
    finally:
        process.send_signal(signal.SIGINT)
        begin = time.monotonic()
        process.wait(timeout=20)
        rig.close()
    assert time.monotonic() - begin < 15
