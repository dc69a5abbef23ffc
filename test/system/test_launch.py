"""The launch files, on a machine that has launch."""

from collections.abc import Iterator
import contextlib
import os
from pathlib import Path
import signal
import subprocess
import time
from typing import Any

from nsrp_ros.ros.localizer_parameters import NodeConfig
from nsrp_ros.simulation.live_scene import DEFAULT_SCENE
import pytest
from support.localizer_rig import LocalizerRig
from support.paths import ROOT
from support.patience import patience
from support.patience import slowdown
import yaml


@pytest.fixture
def installed() -> Path:
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


def test_the_example_configuration_fits_the_simulated_room() -> None:
    """The demo's launch file starts both, so they must agree."""
    text = (ROOT / 'config/localize.yaml').read_text()
    parameters = yaml.safe_load(text)['/**']['localizer']['ros__parameters']
    assert tuple(parameters['room_dims']) == DEFAULT_SCENE.room_dims
    assert parameters['microphone_frames'] == [
        f'mic_{k}' for k in range(len(DEFAULT_SCENE.mic_positions))]


@pytest.mark.parametrize('name', ['localize.yaml', 'two_devices.yaml'])
def test_the_configurations_are_valid(name: str) -> None:
    """What we ship is accepted by what we ship."""
    text = (ROOT / 'config' / name).read_text()
    values = yaml.safe_load(text)['/**']['localizer']['ros__parameters']
    fields: dict[str, Any] = {
        k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    NodeConfig(**fields)


def test_what_is_installed(installed: Path) -> None:
    """Launch files, configuration, RViz file and weights lie in the share folder."""
    for name in ('launch/localize.launch.py', 'launch/demo.launch.py', 'config/localize.yaml',
                 'config/localize.rviz', 'models/backprojection.safetensors', 'package.xml'):
        assert (installed / name).is_file(), name


@pytest.mark.parametrize('name', ['localize.launch.py', 'demo.launch.py'])
def test_every_argument_is_described(installed: Path, name: str) -> None:
    """`ros2 launch --show-args` explains them all."""
    result = subprocess.run(['ros2', 'launch', 'nsrp_ros', name, '--show-args'],
                            capture_output=True, text=True, timeout=patience(60))
    assert result.returncode == 0, result.stderr
    for argument in ('params_file', 'namespace', 'use_sim_time', 'rviz', 'method', 'device',
                     'autostart', 'queue_size', 'log_level'):
        assert f"'{argument}':" in result.stdout
    assert 'no description given' not in result.stdout


@contextlib.contextmanager
def launched(log: Path, *arguments: str) -> Iterator[None]:
    """Launch; Ctrl-C must end it within 15 s."""
    with log.open('w') as file:
        process = subprocess.Popen(['ros2', 'launch', 'nsrp_ros', *arguments],
                                   env=os.environ | {'ROS_DOMAIN_ID': '47'},
                                   stdout=file, stderr=subprocess.STDOUT)
    try:
        yield
    finally:
        begin = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.wait(patience(20))
    assert time.monotonic() - begin < 15 * slowdown()


@pytest.mark.usefixtures('installed')
def test_the_demo_launches(tmp_path: Path) -> None:
    """Room and localizer come up in a namespace, and the talker appears on the map."""
    rig = LocalizerRig(47, tmp_path, namespace='kitchen')
    log = tmp_path / 'launch.log'
    with launched(log, 'demo.launch.py', 'rviz:=false', 'method:=srp_phat', 'speech:=synthetic',
                  'rt60:=0.0', 'namespace:=kitchen'):
        assert rig.spin_until(
            lambda: len(rig.received.poses) >= 3 and rig.received.grids, 60), log.read_text()
    rig.close()
