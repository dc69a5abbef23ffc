"""Microphones that move: transforms that come late, and an array on a driving robot."""

from collections.abc import Callable

from nav_msgs.msg import OccupancyGrid
from nsrp_ros.core.stamps import NS
import numpy as np
from numpy.typing import ArrayLike
import pytest
from support.anechoic import Anechoic
from support.anechoic import propagate
from support.localizer_rig import CHUNK
from support.localizer_rig import errors
from support.localizer_rig import LocalizerRig
from support.localizer_rig import PREFIXED
from support.node_rig import LATCHED
from support.transforms import transform
from tf2_msgs.msg import TFMessage


def frames(positions: ArrayLike, time_ns: int) -> TFMessage:
    """Make a TFMessage of microphones at a time."""
    return TFMessage(transforms=[transform(f'mic_{k}', position, time_ns)
                                 for k, position in enumerate(np.asarray(positions))])


def test_transforms_that_come_late(make_rig: Callable[[int], LocalizerRig],
                                   anechoic: Anechoic) -> None:
    """Moving frames that arrive behind the audio: windows wait in the queue, none is lost."""
    rig = make_rig(65)
    # A busy machine may need seconds for what follows a window at once.
    rig.start('localizer_node', **PREFIXED, queue_size=20, transform_timeout=5.0)
    tf = rig.node.create_publisher(TFMessage, '/tf', 100)
    rig.wait_for_localizer(['audio', '/tf'])
    rig.publish_info()
    signals = anechoic.signals(4.0)
    played = []
    for first in range(0, signals.shape[1] - CHUNK + 1, CHUNK):
        played.append(rig.now_ns)
        rig.play(signals[:, first:first + CHUNK])
        if len(played) > 3:  # some 0.1 s behind
            rig.deliver(tf, frames(anechoic.mic_positions, played[-4]))
    for time_ns in [*played[-3:], rig.now_ns]:
        rig.deliver(tf, frames(anechoic.mic_positions, time_ns))
    values = rig.settled()
    assert len(rig.received.poses) == 15 and max(errors(rig.received.poses, anechoic)) < 0.15
    assert values['microphones'] == '6 of 6' and 'skipped: queue full' not in values
    # Transforms that stop: too few microphones, and then only until they are there again.
    assert rig.set_parameters('localizer', transform_timeout=0.5).successful
    rig.now_ns += CHUNK * NS // 16000
    rig.play(anechoic.signals(1.5))
    assert rig.settled()['skipped: too few microphones'] >= 2
    assert len(rig.received.poses) == 15


def room_map() -> OccupancyGrid:
    """Make a map of a room of 6 m x 5 m with its corner at (-2, 1), unknown around it."""
    message = OccupancyGrid()
    message.header.frame_id = 'map'
    message.info.width, message.info.height, message.info.resolution = 80, 70, 0.1
    message.info.origin.position.x, message.info.origin.position.y = -3.0, 0.0
    cells = np.full((70, 80), -1, np.int8)
    cells[10:60, 10:70] = 0
    message.data = cells.ravel().tolist()
    return message


def test_microphones_on_a_moving_base_in_a_room_from_the_map(
        make_rig: Callable[[int], LocalizerRig]) -> None:
    """Fixed on a robot that drives and turns, the talker stays where he is on the map."""
    rig = make_rig(66)
    corner, talker = np.array([-2.0, 1.0, 0.0]), np.array([2.3, 4.2, 1.5])  # in map
    on_base = np.array([(0.6, 0.0, 1.0), (0.0, 0.6, 1.4), (-0.6, 0.0, 1.0), (0.0, -0.6, 0.5),
                        (0.0, 0.0, 1.8), (0.4, 0.4, 0.3)])
    flat = '[' + ', '.join(f'{v:.1f}' for v in on_base.ravel()) + ']'
    rig.start('localizer_node', room_source='map', room_height=3.0, microphone_source='fixed',
              microphone_positions=flat, microphone_positions_frame='base_link',
              method='srp_phat', min_confidence=0.0, queue_size=20)
    tf = rig.node.create_publisher(TFMessage, '/tf', 100)
    maps = rig.node.create_publisher(OccupancyGrid, 'map', LATCHED)
    rig.wait_for_localizer(['audio', '/tf', 'map'])
    rig.publish_info()
    rig.play(0.05 * np.random.default_rng(0).standard_normal((6, 16000)).astype(np.float32))
    assert 'skipped: no room' in rig.settled()
    rig.deliver(maps, room_map())
    rig.pause(10)
    noise = np.random.default_rng(1)
    for k in range(6):  # a place for each window, in each of which it stands and turns
        base, yaw = corner + [1.0 + 0.7 * k, 1.5 + 0.3 * k, 0.0], 0.5 * k
        quaternion = (0.0, 0.0, np.sin(yaw / 2), np.cos(yaw / 2))
        turn = np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
        signals = propagate(noise.standard_normal(9600), talker, on_base @ turn.T + base)
        for time_ns in (rig.now_ns, rig.now_ns + NS):
            rig.deliver(tf, TFMessage(
                transforms=[transform('base_link', base, time_ns, 'map', quaternion)]))
        rig.play(0.05 * signals / signals.std())
        rig.pause(1.5)
    rig.settled()
    places = np.array([(p.pose.position.x, p.pose.position.y) for p in rig.received.poses])
    assert len(places) >= 5
    away = np.linalg.norm(places - talker[:2], axis=1)
    assert np.median(away) < 0.4, away
    grid = rig.received.grids[-1]
    assert (grid.info.width, grid.info.height) == (60, 50)
    assert (grid.info.origin.position.x, grid.info.origin.position.y) == pytest.approx((-2.0, 1.0))
