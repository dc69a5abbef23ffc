"""
Play an audio file as a sound card would: WAV, FLAC or whatever libsndfile reads.

    ros2 run nsrp_ros play_audio --ros-args -p file:=kitchen.flac -p rate:=1.0

It publishes `audio` (audio_common_msgs/AudioDataStamped, interleaved S16LE) and its latched
`audio_info`. Stamps count the file's samples from `start_time` whatever the rate, so that a file
played at any rate gives the same results.
"""

from dataclasses import dataclass
import math

from audio_common_msgs.msg import AudioDataStamped
from audio_common_msgs.msg import AudioInfo
from nsrp_ros.audio.sample_formats import bytes_from_samples
from nsrp_ros.core.stamps import NS
from nsrp_ros.core.stamps import set_stamp
from nsrp_ros.ros.compat import ClockType
from nsrp_ros.ros.inputs.audio_subscription import LATCHED
from nsrp_ros.ros.node_main import run_node
from nsrp_ros.ros.parameter_declaration import declare_settings
from nsrp_ros.ros.parameter_declaration import setting
import rclpy
from rclpy.clock import Clock
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.task import Future
import soundfile

_TICK = 0.005  # seconds between two looks at what is due


@dataclass(frozen=True)
class PlayerSettings:
    """What the player can be told; the descriptions are its documentation."""

    file: str = setting('', 'the audio file, a channel for each microphone; required')
    rate: float = setting(
        1.0, 'how much faster than real time it is played', 0.01, 100.0)
    loop: bool = setting(False, 'start again at the end; the stamps go on')
    chunk: int = setting(512, 'samples that are published together', 16, 65536)
    frame_id: str = setting('', 'frame_id of the audio')
    start_time: float = setting(
        -1.0, 'the time of the first sample, seconds; below 0 it is the time of its playing')
    wait_for_listeners: int = setting(
        1, 'how many subscriptions to wait for before it begins', 0, 100)

    def __post_init__(self):
        """Refuse what no single range can."""
        if not self.file:
            raise ValueError('file must name an audio file')
        if not math.isfinite(self.start_time):
            raise ValueError('start_time must be a number of seconds')


class AudioPlayer(Node):
    """See the module's docstring; the parameters are those of PlayerSettings."""

    def __init__(self, **kwargs):
        super().__init__('play_audio', **kwargs)
        self.config = config = declare_settings(self, PlayerSettings)
        try:
            self._file = soundfile.SoundFile(config.file)
        except (OSError, soundfile.SoundFileError) as error:
            raise ValueError(f'{config.file} cannot be played: {error}') from error
        if not self._file.frames:
            raise ValueError(f'{config.file} holds no samples')
        self.finished = Future()
        self._first_ns = None  # the stamp of the first sample
        self._began = None  # when it was played, by a clock that nobody sets
        self._played = 0
        self._audio = self.create_publisher(AudioDataStamped, 'audio', 200)
        self._info = self.create_publisher(AudioInfo, 'audio_info', LATCHED)
        self._info.publish(AudioInfo(
            channels=self._file.channels, sample_rate=self._file.samplerate,
            sample_format='S16LE', coding_format='wave',
            bitrate=16 * self._file.samplerate * self._file.channels))
        # With use_sim_time the player would wait for a clock that nobody else moves.
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(_TICK, self._play, clock=self._steady)
        self.get_logger().info(
            f'{config.file}: {self._file.channels} channels, {self._file.samplerate} Hz, '
            f'{self._file.frames / self._file.samplerate:.1f} s, '
            f'{config.rate:g} times real time')

    def _play(self):
        """Publish every chunk whose last sample has been heard by now."""
        if self._began is None:
            if self._audio.get_subscription_count() < self.config.wait_for_listeners:
                return
            self._began = self._steady.now().nanoseconds
            start = self.config.start_time
            self._first_ns = (round(start * NS) if start >= 0
                              else self.get_clock().now().nanoseconds)
        config, rate = self.config, self._file.samplerate
        gone = (self._steady.now().nanoseconds - self._began) * config.rate / NS
        # The end counts as a whole chunk: it is shorter than one.
        while not self.finished.done() and self._played + config.chunk <= gone * rate:
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

    def wait_until_taken(self):
        """Wait, but not long, for reliable listeners to have it all: the end takes it along."""
        for publisher in (self._info, self._audio):
            publisher.wait_for_all_acked(Duration(seconds=2))

    def _read(self):
        """Read a chunk, across the end where the file is played in a loop."""
        samples = self._file.read(self.config.chunk, dtype='float32', always_2d=True)
        if not len(samples) and self.config.loop:
            self._file.seek(0)
            samples = self._file.read(self.config.chunk, dtype='float32', always_2d=True)
        return samples


def _spin(node):
    """Spin until the file has been played, and what was published has been taken."""
    rclpy.spin_until_future_complete(node, node.finished)
    node.wait_until_taken()
    node.get_logger().info('played to the end')


def main(args=None):
    """Play until the end or until interrupted; exit with 1 where the file cannot be played."""
    run_node('play_audio', AudioPlayer, (ValueError,), args=args, spin=_spin)


if __name__ == '__main__':
    main()
