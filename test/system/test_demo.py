"""The demo as the README describes it, from beginning to end."""

import json
import os
import subprocess
import sys

from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import OccupancyGrid
from nsrp_ros.apps.demo.observer import Observer
from nsrp_ros.apps.demo.pictures import make_still
from nsrp_ros.core.stamps import NS
from nsrp_ros.core.stamps import set_stamp
import numpy as np
from PIL import Image
import pytest
import rclpy
from rclpy.context import Context


MICROPHONE, TALKER = (0x7f, 0xd8, 0xff), (0x57, 0xff, 0x7a)
"""Colours of the markers."""


def test_a_short_demo(tmp_path):
    """Three processes play 1.5 s of each talker; table, pictures and summary agree."""
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
        colours = {colour for _, colour in still.convert('RGB').getcolors(1 << 24)}
    assert {MICROPHONE, TALKER} <= colours
    with Image.open(tmp_path / 'map.gif') as animation:
        assert animation.n_frames >= summary['methods']['srp_phat']['windows']
        frames = []
        for k in range(animation.n_frames):
            animation.seek(k)
            frames.append(np.asarray(animation.convert('RGB'), dtype=int))
    # The microphones are in every frame, and the frames differ.
    assert all(np.abs(frame - MICROPHONE).sum(axis=-1).min() < 30 for frame in frames)
    assert any((frame != frames[0]).any() for frame in frames)


def test_a_method_that_does_not_exist(tmp_path):
    """The demo ends with the localizer's own error message."""
    result = subprocess.run(
        [sys.executable, '-m', 'nsrp_ros.apps.demo.main', '--methods', 'telepathy', '--speech',
         'synthetic', '--output', str(tmp_path)],
        capture_output=True, text=True, timeout=90, env=_environment())
    assert result.returncode == 1
    assert "no weights for method 'telepathy'" in result.stderr
    assert 'Traceback' not in result.stderr


@pytest.fixture
def observer():
    """Return an observer of two methods."""
    context = Context()
    rclpy.init(context=context, domain_id=49)
    observer = Observer(['early', 'late'], context=context)
    yield observer
    observer.destroy_node()
    context.try_shutdown()


def test_windows_a_chunk_apart_are_one(observer):
    """A localizer that received its first chunk late is shown beside the other."""
    for k in range(4):
        for method, offset_ns in (('early', 0), ('late', 32_000_000)):
            pose = PoseStamped()
            set_stamp(pose.header.stamp, NS + k * NS // 4 + offset_ns)
            observer.add_pose(method, pose)
    windows = observer.windows()
    assert [sorted(answers) for _, _, answers in windows] == [['early', 'late']] * 4


def test_the_still_shows_truth_estimates_and_maps(observer):
    """One column for the talker, one row for each method, each with its own map and estimate."""
    truth, positions = (1.5, 1.3), {'early': (1.6, 1.3), 'late': (1.5, 1.7)}
    for k in range(16):  # the chunks of half a second
        message = pose_at(*truth)
        set_stamp(message.header.stamp, NS // 2 + k * NS * 512 // 16000)
        observer.add_truth(message)
    for level, (method, position) in enumerate(positions.items(), 1):
        message = pose_at(*position)
        set_stamp(message.header.stamp, NS)
        observer.add_pose(method, message)
        grid = OccupancyGrid(data=[10 * level] * 30)
        set_stamp(grid.header.stamp, NS)
        grid.info.width, grid.info.height = 6, 5
        observer.add_map(method, grid)
    figure = make_still(observer)
    assert len(figure.axes) == 2
    for level, (axes, (method, position)) in enumerate(zip(figure.axes, positions.items()), 1):
        lines = {line.get_label(): line.get_xydata() for line in axes.get_lines()}
        np.testing.assert_array_equal(lines['microphones'], observer.mic_positions[:, :2])
        np.testing.assert_array_equal(lines['talker'], [truth])
        np.testing.assert_array_equal(lines['estimate'], [position])
        drawn = axes.get_images()[0].get_array()
        np.testing.assert_array_equal(drawn, np.full((5, 6), 10 * level))
        error = np.hypot(position[0] - truth[0], position[1] - truth[1])
        assert axes.get_title() == f'{method}:  error {error:.2f} m'


def test_there_is_no_still_without_a_located_window(observer):
    """Poses without ground truth are not enough."""
    assert make_still(observer) is None
    observer.add_pose('early', pose_at(1.0, 1.0))
    assert make_still(observer) is None


def pose_at(x, y):
    """Return a pose at a position."""
    pose = PoseStamped()
    pose.pose.position.x, pose.pose.position.y = x, y
    return pose


def _environment():
    return os.environ | {'ROS_DOMAIN_ID': '48', 'OMP_NUM_THREADS': '1'}
