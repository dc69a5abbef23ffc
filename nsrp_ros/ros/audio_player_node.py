"""
Play an audio file in the place of a sound card: WAV, FLAC or any other format of libsndfile.

    ros2 run nsrp_ros play_audio --ros-args -p file:=kitchen.flac -p rate:=1.0

It publishes `audio` (audio_common_msgs/AudioDataStamped, interleaved S16LE) and its latched
`audio_info`. Stamps count the file's samples from `start_time` at any rate of playing, so that
results do not depend on it.
"""

from dataclasses import dataclass
import math
from typing import Any

from audio_common_msgs.msg import AudioDataStamped
from audio_common_msgs.msg import AudioInfo
from nsrp_ros.audio.sample_formats import bytes_from_samples
from nsrp_ros.core.stamps import NS
from nsrp_ros.core.stamps import set_stamp
from nsrp_ros.pipeline.settings import setting
from nsrp_ros.ros.compat import ClockType
from nsrp_ros.ros.inputs.audio_subscription import LATCHED
from nsrp_ros.ros.node_main import run_node
from nsrp_ros.ros.parameter_declaration import declare_settings
import numpy as np
from numpy.typing import NDArray
import rclpy
from rclpy.clock import Clock
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.task import Future
import soundfile

_TICK = 0.005  # seconds between two checks for chunks that are due


@dataclass(frozen=True)
class PlayerSettings:
    """The parameters of the player; the descriptions are their documentation."""

    file: str = setting('', 'the audio file, a channel for each microphone; required')
    rate: float = setting(
        1.0, 'how much faster than real time it is played', 0.01, 100.0)
    loop: bool = setting(False, 'start again at the end; stamps continue')
    chunk: int = setting(512, 'samples that are published together', 16, 65536)
    frame_id: str = setting('', 'frame_id of the audio')
    start_time: float = setting(
        -1.0, 'the time of the first sample, seconds; below 0 that of its playing')
    wait_for_listeners: int = setting(
        1, 'how many subscriptions to wait for before it begins', 0, 100)

    def __post_init__(self) -> None:
        """Refuse values that no range excludes."""
        if not self.file:
            raise ValueError('file must name an audio file')
        if not math.isfinite(self.start_time):
            raise ValueError('start_time must be a number of seconds')


class AudioPlayer(Node):
    """See the module's docstring; the parameters are those of PlayerSettings."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__('play_audio', **kwargs)
        self.config = config = declare_settings(self, PlayerSettings)
        try:
            self._file = soundfile.SoundFile(config.file)
        except (OSError, soundfile.SoundFileError) as error:
            raise ValueError(f'{config.file} cannot be played: {error}') from error
        if not self._file.frames:
            raise ValueError(f'{config.file} holds no samples')
        self.finished: 'Future[bool]' = Future()
        self._first_ns = 0  # the stamp of the first sample
        self._started_ns: int | None = None  # when it was played, by the steady clock
        self._played = 0
        self._audio = self.create_publisher(AudioDataStamped, 'audio', 200)
        self._info = self.create_publisher(AudioInfo, 'audio_info', LATCHED)
        self._info.publish(AudioInfo(
            channels=self._file.channels, sample_rate=self._file.samplerate,
            sample_format='S16LE', coding_format='wave',
            bitrate=16 * self._file.samplerate * self._file.channels))
        # Not the node's clock: with use_sim_time it may depend on this player.
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(_TICK, self._play, clock=self._steady)
        self.get_logger().info(
            f'{config.file}: {self._file.channels} channels, {self._file.samplerate} Hz, '
            f'{self._file.frames / self._file.samplerate:.1f} s, '
            f'{config.rate:g} times real time')

    def _play(self) -> None:
        """Publish every chunk whose last sample is due by now."""
        if self._started_ns is None:
            if self._audio.get_subscription_count() < self.config.wait_for_listeners:
                return
            self._started_ns = self._steady.now().nanoseconds
            start = self.config.start_time
            self._first_ns = (round(start * NS) if start >= 0
                              else self.get_clock().now().nanoseconds)
        config, rate = self.config, self._file.samplerate
        elapsed = (self._steady.now().nanoseconds - self._started_ns) * config.rate / NS
        # The last chunk, which may be shorter, counts as a whole one.
        while not self.finished.done() and self._played + config.chunk <= elapsed * rate:
            samples = self._read()
            if not len(samples):
                self.finished.set_result(True)
                return
            message = AudioDataStamped()
            message.header.frame_id = config.frame_id
            set_stamp(message.header.stamp, self._first_ns + self._played * NS // rate)
            message.audio.data = bytes_from_samples(samples)
            self._audio.publish(message)
            self._played += len(samples)

    def wait_for_subscribers(self) -> None:
        """Wait, for a limited time, until reliable subscribers have received everything."""
        for publisher in (self._info, self._audio):
            publisher.wait_for_all_acked(Duration(seconds=2))

    def _read(self) -> NDArray[np.float32]:
        """Read a chunk, from the start again where the file is played in a loop."""
        samples: NDArray[np.float32] = self._file.read(
            self.config.chunk, dtype='float32', always_2d=True)
        if not len(samples) and self.config.loop:
            self._file.seek(0)
            samples = self._file.read(self.config.chunk, dtype='float32', always_2d=True)
        return samples


def _spin(node: AudioPlayer) -> None:
    """Spin until the file has been played, and subscribers have received it."""
    rclpy.spin_until_future_complete(node, node.finished)
    node.wait_for_subscribers()
    node.get_logger().info('played to the end')


def main(args: list[str] | None = None) -> None:
    """Play until the end or until interrupted; exit with 1 where the file cannot be played."""
    run_node('play_audio', AudioPlayer, (ValueError,), args=args, spin=_spin)


if __name__ == '__main__':
    main()
