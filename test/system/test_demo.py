"""The demo does what the README says, from beginning to end."""

import json
import os
import subprocess
import sys

from geometry_msgs.msg import PoseStamped
from nsrp_ros.apps.demo.observer import Observer
from nsrp_ros.core.stamps import NS
from nsrp_ros.core.stamps import set_stamp
from PIL import Image
import rclpy
from rclpy.context import Context


def test_a_short_demo(tmp_path):
    """Three processes play two seconds of each talker; table, pictures and summary agree."""
    result = subprocess.run(
        [sys.executable, '-m', 'nsrp_ros.apps.demo.main', '--methods', 'srp_phat', 'srp_phat_2d',
         '--speech', 'synthetic', '--turn-seconds', '1.5', '--rt60', '0.0',
         '--output', str(tmp_path)],
        capture_output=True, text=True, timeout=110, env=_environment())
    assert result.returncode == 0, result.stdout + result.stderr
    summary = json.loads((tmp_path / 'summary.json').read_text())
    for method in ('srp_phat', 'srp_phat_2d'):
        row = summary['methods'][method]
        assert row['windows'] >= row['scored'] >= 4
        assert row['latency_ms_p50'] <= row['latency_ms_p95']
        assert f"{row['mean_error_m']:.2f} m" in result.stdout
    assert summary['methods']['srp_phat']['median_error_m'] < 0.2
    assert summary['methods']['srp_phat']['skipped_because'].get('silence', 0) >= 1
    with Image.open(tmp_path / 'map.png') as still:
        assert still.width > still.height > 300
    with Image.open(tmp_path / 'map.gif') as animation:
        assert animation.n_frames >= summary['methods']['srp_phat']['windows']


def test_a_method_that_does_not_exist(tmp_path):
    """The demo ends with the localizer's own sentence, and leaves nobody running."""
    result = subprocess.run(
        [sys.executable, '-m', 'nsrp_ros.apps.demo.main', '--methods', 'telepathy', '--speech',
         'synthetic', '--output', str(tmp_path)],
        capture_output=True, text=True, timeout=90, env=_environment())
    assert result.returncode == 1
    assert "no weights for method 'telepathy'" in result.stderr
    assert 'Traceback' not in result.stderr


def test_windows_a_chunk_apart_are_one():
    """A localizer that met the room a chunk late is still shown beside the other."""
    context = Context()
    rclpy.init(context=context, domain_id=49)
    observer = Observer(['early', 'late'], context=context)
    for k in range(4):
        for method, offset_ns in (('early', 0), ('late', 32_000_000)):
            pose = PoseStamped()
            set_stamp(pose.header.stamp, NS + k * NS // 4 + offset_ns)
            observer._on_pose(method, pose)
    windows = observer.windows()
    observer.destroy_node()
    context.try_shutdown()
    assert [sorted(answers) for _, _, answers in windows] == [['early', 'late']] * 4


def _environment():
    return os.environ | {'ROS_DOMAIN_ID': '48', 'OMP_NUM_THREADS': '1'}
