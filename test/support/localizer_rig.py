"""A rig that plays microphones to a localizer."""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
import time
from typing import Any

from audio_common_msgs.msg import AudioDataStamped
from audio_common_msgs.msg import AudioInfo
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseStamped
from geometry_msgs.msg import PoseWithCovarianceStamped
from nav_msgs.msg import OccupancyGrid
from nsrp_ros.audio.sample_formats import bytes_from_samples
from nsrp_ros.core.stamps import NS
from nsrp_ros.core.stamps import set_stamp
import numpy as np
from rclpy.publisher import Publisher
from support.anechoic import Anechoic
from support.node_rig import LATCHED
from support.node_rig import Rig
from support.patience import slowdown
from support.transforms import transform
from tf2_msgs.msg import TFMessage

CHUNK = 512
"""Samples of a message."""
PREFIXED: dict[str, Any] = {
    'room_dims': '[6.0, 5.0, 3.0]', 'microphone_frame_prefix': 'mic_', 'method': 'srp_phat'}
"""Parameters of a localizer in the scene `anechoic`, with as many frames as channels."""


@dataclass
class Received:
    """What a localizer has published, in the order of arrival."""

    status: list[DiagnosticStatus]
    poses: list[PoseStamped] = field(default_factory=list)
    uncertain: list[PoseWithCovarianceStamped] = field(default_factory=list)
    grids: list[OccupancyGrid] = field(default_factory=list)
    truths: list[PoseStamped] = field(default_factory=list)


class LocalizerRig(Rig):
    """See the module's docstring; the parameters are those of Rig."""

    def __init__(self, domain: int, folder: Path, namespace: str = '') -> None:
        super().__init__(domain, folder, namespace)
        self.received = Received(self.status)
        node = self.node
        for kind, topic, into in (
                (PoseStamped, 'source_pose', self.received.poses),
                (PoseWithCovarianceStamped, 'source_pose_with_covariance',
                 self.received.uncertain),
                (OccupancyGrid, 'likelihood', self.received.grids),
                (PoseStamped, 'true_source', self.received.truths)):
            node.create_subscription(kind, topic, into.append, 100)
        self.audio = node.create_publisher(AudioDataStamped, 'audio', 200)
        self.info = node.create_publisher(AudioInfo, 'audio_info', LATCHED)

    @property
    def heard(self) -> Received:
        """Return `received`."""
        return self.received

    def wait_for_localizer(self, topics: Sequence[str] = ('audio',)) -> None:
        """Wait until a localizer of these audio topics is connected."""
        self.connect('localizer', topics, ('source_pose', 'likelihood'))

    def settled(self) -> dict[str, Any]:
        """Return the values of a status made after the node has processed everything so far."""
        values = super().settled()
        # It may overtake what was published before it.
        self.spin_until(lambda: len(self.received.grids) >= values['located'])
        self.exchange()
        return values

    def publish_info(self, n_channels: int = 6, **changes: Any) -> None:
        """Publish an AudioInfo."""
        self.deliver(self.info, AudioInfo(**({
            'channels': n_channels, 'sample_rate': 16000, 'sample_format': 'S16LE',
            'coding_format': 'wave'} | changes)))

    def publish_frames(self, mic_positions: Any, frames: Sequence[str] = ()) -> None:
        """Publish the microphones as static transforms of the frame map."""
        names = frames or [f'mic_{k}' for k in range(len(mic_positions))]
        self.deliver(self.static, TFMessage(transforms=[
            transform(name, position) for name, position in zip(names, mic_positions)]))

    def play(self, signals: np.ndarray,
             encode: Callable[[np.ndarray], Any] = bytes_from_samples) -> None:
        """
        Publish signals (M, T) as chunks, as fast as the node takes them, advancing their time.

        `encode` turns (n, M) samples into bytes.
        """
        for first in range(0, signals.shape[1], CHUNK):
            chunk = signals[:, first:first + CHUNK]
            self.play_bytes(encode(chunk.T))
            self.exchange()
            self.now_ns += chunk.shape[1] * NS // 16000

    def play_bytes(self, data: Any, publisher: Publisher | None = None, late_ns: int = 0) -> None:
        """Publish one chunk's bytes at the audio's present time, or with a stamp that is late."""
        message = AudioDataStamped()
        set_stamp(message.header.stamp, self.now_ns + late_ns)
        message.audio.data = data
        (publisher or self.audio).publish(message)


def errors(poses: Iterable[PoseStamped], scene: Anechoic) -> list[float]:
    """Return the distance of each pose to the scene's talker, metres."""
    x, y = scene.source_position[:2]
    return [float(np.hypot(p.pose.position.x - x, p.pose.position.y - y)) for p in poses]


@contextlib.contextmanager
def shared_localizer(domain: int, folder: Path, **parameters: Any) -> Iterator[LocalizerRig]:
    """Start a localizer for the tests of a file; Ctrl-C must end it at once, without a trace."""
    rig = LocalizerRig(domain, folder)
    process = rig.start('localizer_node', **parameters)
    rig.wait_for_localizer()
    yield rig
    begin = time.monotonic()
    assert rig.close() == [0], process.log.read_text()
    assert time.monotonic() - begin < 2.0 * slowdown()
    assert 'Traceback' not in process.log.read_text()


@contextlib.contextmanager
def recovering(rig: LocalizerRig, scene: Anechoic) -> Iterator[LocalizerRig]:
    """Give a test a localizer that works, and see that it works again afterwards."""
    rig.pause(100)
    rig.publish_info()
    rig.publish_frames(scene.mic_positions)
    yield rig
    rig.pause(100)
    rig.publish_info()
    n = len(rig.received.poses)
    rig.play(scene.signals(1.0))
    assert rig.spin_until(lambda: len(rig.received.poses) >= n + 3), \
        'the localizer has not recovered'
    assert max(errors(rig.received.poses[n:], scene)) < 0.15
