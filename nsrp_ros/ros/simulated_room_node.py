"""
A simulated room: it publishes microphone signals, microphone positions and the ground truth.

Talkers at `talker_positions` take turns in a pyroomacoustics shoebox. The node publishes, in
real time: `audio` (audio_common_msgs/AudioDataStamped, interleaved S16LE) with its latched
`audio_info`, the microphones' frames on /tf, and `true_source` (geometry_msgs/PoseStamped) while a
talker talks. Frames named in the live parameter `hidden_frames` are not published, as when a
device loses its network connection.
"""

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from typing import cast

from audio_common_msgs.msg import AudioDataStamped
from audio_common_msgs.msg import AudioInfo
from geometry_msgs.msg import PoseStamped
from geometry_msgs.msg import TransformStamped
from nsrp_ros.audio.sample_formats import bytes_from_samples
from nsrp_ros.core.stamps import NS
from nsrp_ros.core.stamps import set_stamp
from nsrp_ros.pipeline.settings import LocalizationSettings
from nsrp_ros.pipeline.settings import setting
from nsrp_ros.ros.inputs.audio_subscription import LATCHED
from nsrp_ros.ros.node_main import run_node
from nsrp_ros.ros.parameter_declaration import declare_settings
from nsrp_ros.ros.parameter_declaration import updated_settings
from nsrp_ros.simulation.live_scene import CHUNK
from nsrp_ros.simulation.live_scene import DEFAULT_SCENE
from nsrp_ros.simulation.live_scene import render
from nsrp_ros.simulation.live_scene import SAMPLE_RATE
from nsrp_ros.simulation.live_scene import Scene
from nsrp_ros.simulation.speech.bank import find_speech
from nsrp_ros.simulation.speech.bank import TALKERS
from nsrp_ros.simulation.speech.debian_prompts import SpeechError
import numpy as np
from numpy.typing import NDArray
from rcl_interfaces.msg import SetParametersResult
import rclpy
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.task import Future
from tf2_msgs.msg import TFMessage


@dataclass(frozen=True)
class RoomSettings:
    """The parameters of the simulated room; the descriptions are their documentation."""

    frame_id: str = setting(
        LocalizationSettings.frame_id, 'frame of the room, whose corner is 0, 0, 0')
    room_dims: tuple[float, ...] = setting(
        DEFAULT_SCENE.room_dims, 'length, width and height, metres')
    rt60: float = setting(
        DEFAULT_SCENE.rt60, 'reverberation time, seconds; 0 is anechoic', 0.0, 2.0)
    microphone_positions: tuple[float, ...] = setting(
        tuple(DEFAULT_SCENE.mic_positions.ravel().tolist()),
        "the microphones' x, y, z one after another, metres")
    microphone_frame_prefix: str = setting('mic_', 'microphone k has the frame <prefix>k')
    talker_positions: tuple[float, ...] = setting(
        tuple(DEFAULT_SCENE.talker_positions.ravel().tolist()),
        "the talkers' x, y, z one after another, metres")
    turn_seconds: float = setting(
        DEFAULT_SCENE.turn_seconds, 'how long each talker talks', 0.5, 600.0)
    pause_seconds: float = setting(
        DEFAULT_SCENE.pause_seconds, 'silence between two turns', 0.0, 600.0)
    snr_db: float = setting(
        DEFAULT_SCENE.snr_db, 'speech over sensor noise, dB', -20.0, 100.0)
    speech: str = setting('auto', "'prompts' (Debian's voice prompts, fetched once), "
                          "'synthetic', a folder of audio files, or 'auto'")
    seed: int = setting(0, 'chooses the speech and the noise', 0, 2 ** 31 - 1)
    loop: bool = setting(True, 'start again after the last turn, rather than exit')
    hidden_frames: tuple[str, ...] = setting(
        (), 'microphone frames that are not published', live=True)

    def __post_init__(self) -> None:
        """Refuse values that no range excludes."""
        self.scene  # raises ValueError where the scene is impossible

    @property
    def scene(self) -> Scene:
        """Return the live scene that is simulated."""
        return Scene(cast('tuple[float, float, float]', self.room_dims), self.rt60,
                     _triples('microphone_positions', self.microphone_positions),
                     _triples('talker_positions', self.talker_positions),
                     self.turn_seconds, self.pause_seconds, self.snr_db)


class SimulatedRoom(Node):
    """See the module's docstring; the parameters are those of RoomSettings."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__('simulated_room', **kwargs)
        self.config = config = declare_settings(self, RoomSettings)
        self.add_on_set_parameters_callback(self._on_parameters)
        self.finished: 'Future[bool]' = Future()
        bank, description = find_speech(
            config.speech, TALKERS['test'], sample_rate=SAMPLE_RATE)
        self.get_logger().info(f'speech: {description}')
        scene = config.scene
        self._signals, self._turns = render(
            scene, bank.utterances(min_seconds=1.0), np.random.default_rng(config.seed))
        self._mics = {f'{config.microphone_frame_prefix}{k}': p
                      for k, p in enumerate(scene.mic_positions)}
        self._audio = self.create_publisher(AudioDataStamped, 'audio', 50)
        self._info = self.create_publisher(AudioInfo, 'audio_info', LATCHED)
        self._truth = self.create_publisher(PoseStamped, 'true_source', 10)
        self._tf = self.create_publisher(TFMessage, '/tf', 100)
        self._info.publish(AudioInfo(
            channels=len(self._mics), sample_rate=SAMPLE_RATE, sample_format='S16LE',
            bitrate=SAMPLE_RATE * 16 * len(self._mics), coding_format='wave'))
        # The first second is left to the discovery of DDS.
        self._start_ns = self.get_clock().now().nanoseconds + NS
        self._n_played = 0
        self.create_timer(CHUNK / SAMPLE_RATE / 2, self._play)
        self.get_logger().info(f'{len(self._mics)} microphones, {len(self._turns)} talkers, '
                               f'rt60 {scene.rt60:g} s, SNR {scene.snr_db:g} dB')

    def _on_parameters(self, changes: list[Parameter]) -> SetParametersResult:
        self.config, result = updated_settings(self.config, changes)
        return result

    def _play(self) -> None:
        """Publish every chunk whose last sample is due by now."""
        now_ns = self.get_clock().now().nanoseconds
        while not self.finished.done() and self._time_ns(self._n_played + CHUNK) <= now_ns:
            if not self.config.loop and self._n_played >= len(self._signals):
                self.finished.set_result(True)
                return
            first, last = self._n_played, self._n_played + CHUNK - 1
            # Transforms are published before the audio that needs them.
            self._publish_frames(self._time_ns(last))
            self._publish_truth(first, last)
            chunk = np.take(self._signals, np.arange(first, last + 1), axis=0, mode='wrap')
            message = AudioDataStamped()
            set_stamp(message.header.stamp, self._time_ns(first))
            message.audio.data = bytes_from_samples(chunk)
            self._audio.publish(message)
            self._n_played += CHUNK

    def _time_ns(self, sample: int) -> int:
        return self._start_ns + sample * NS // SAMPLE_RATE

    def _publish_frames(self, time_ns: int) -> None:
        visible = {f: p for f, p in self._mics.items() if f not in self.config.hidden_frames}
        self._tf.publish(frames_message(visible, self.config.frame_id, time_ns))

    def _publish_truth(self, first: int, last: int) -> None:
        length = len(self._signals)
        for turn in self._turns:
            if turn.start <= first % length and last % length < turn.stop:
                message = PoseStamped()
                message.header.frame_id = self.config.frame_id
                set_stamp(message.header.stamp, self._time_ns(last))
                p = message.pose.position
                p.x, p.y, p.z = (float(v) for v in turn.position)
                message.pose.orientation.w = 1.0
                self._truth.publish(message)


def frames_message(mics: Mapping[str, NDArray[np.floating]], frame_id: str,
                   time_ns: int) -> TFMessage:
    """
    Convert microphone positions to transforms.

    Parameters
    ----------
    mics : mapping of str to numpy.ndarray
        The frame of each microphone, and its position (3,), metres in `frame_id`.
    frame_id : str
        The room's frame.
    time_ns : int
        Stamp of the transforms, nanoseconds.

    Returns
    -------
    tf2_msgs.msg.TFMessage
        Transforms without a rotation.

    """
    message = TFMessage()
    for frame, position in mics.items():
        transform = TransformStamped(child_frame_id=frame)
        transform.header.frame_id = frame_id
        set_stamp(transform.header.stamp, time_ns)
        t = transform.transform.translation
        t.x, t.y, t.z = (float(v) for v in position)
        transform.transform.rotation.w = 1.0
        message.transforms.append(transform)
    return message


def _triples(name: str, flat: Sequence[float]) -> NDArray[np.float64]:
    if len(flat) % 3:
        raise ValueError(f'{name} must hold x, y, z for each, got {len(flat)} numbers')
    return np.asarray(flat, dtype=np.float64).reshape(-1, 3)


def main(args: list[str] | None = None) -> None:
    """Play until interrupted, or once without `loop`; exit with 1 if the scene is impossible."""
    run_node('simulated_room', SimulatedRoom, (SpeechError, ValueError), args=args,
             spin=lambda node: rclpy.spin_until_future_complete(node, node.finished))


if __name__ == '__main__':
    main()
