"""
The localizer's parameters: one dataclass from which the node declares them.

How is told in parameter_declaration.py.

Each field carries its description, its range and whether it may change while the node runs;
`NodeConfig` refuses combinations that make no sense, with a sentence.
"""

from dataclasses import dataclass
import math

from nsrp_ros.audio.message_types import SOURCES
from nsrp_ros.core.config import WindowConfig
from nsrp_ros.ros.parameter_declaration import setting

_WINDOW = WindowConfig()

_CHOICES = {
    'room_source': ('parameters', 'map'),
    'audio_source': tuple(SOURCES),
    'stamp_marks': ('auto', 'start', 'end', 'arrival'),
    'device_clocks': ('shared', 'separate'),
    'microphone_source': ('tf', 'pose_array', 'fixed'),
}


@dataclass(frozen=True)
class NodeConfig:
    """What the localizer node can be told; the descriptions are its documentation."""

    autostart: bool = setting(
        True, 'configure and activate itself at the start; False leaves both to a lifecycle '
        'manager')
    method: str = setting(
        'backprojection', "'srp_phat', 'srp_phat_2d', a network in models/ such as "
        "'backprojection', one for ONNX Runtime such as 'backprojection.onnx', or the "
        'path of a .safetensors or .onnx.zip file')
    device: str = setting('cpu', "torch device that networks run on, such as 'cuda:0'")
    threads: int = setting(
        1, 'CPU threads a network may use; more gain little below twelve microphones and cost '
        'more than they gain; 0 leaves the choice to its library', 0, 256)
    frame_id: str = setting('map', 'frame of the room and of everything that is published')
    room_source: str = setting(
        'parameters', "where the room comes from: 'parameters' (room_dims, room_origin) or 'map' "
        '(what is known of a nav_msgs/OccupancyGrid on the topic map, and room_height)')
    room_dims: tuple[float, ...] = setting(
        (), 'length, width and height of the room along the axes of frame_id, metres; required '
        'unless room_source is map')
    room_origin: tuple[float, ...] = setting(
        (0.0, 0.0, 0.0), "the room's lowest corner in frame_id, metres")
    room_height: float = setting(
        2.5, 'height of the room where room_source is map, metres', 0.5, 50.0)
    map_resolution: float = setting(
        0.1, "side of the likelihood map's square cells, metres", 0.01, 2.0, live=True)
    audio_source: str = setting(
        'ros_drivers_stamped', "the kind of audio messages: 'ros_drivers_stamped' "
        "(audio_common_msgs/AudioDataStamped with AudioInfo), 'ros_drivers' (AudioData with "
        "AudioInfo; it has no stamp, so the time of arrival is taken), 'mgonzs13' (AudioStamped "
        "of the other audio_common_msgs) or 'audio_utils' (audio_utils_msgs/AudioFrame)")
    audio_topics: tuple[str, ...] = setting(
        ('audio',), 'a topic for each device, or for each channel, in the order of the '
        'microphones; an AudioInfo is on <topic>_info')
    audio_channels: tuple[int, ...] = setting(
        (), 'how many channels each of several topics has; empty where all have as many')
    stamp_marks: str = setting(
        'auto', "what a chunk's stamp marks, its 'start' or its 'end'; 'auto' is what the "
        "drivers of audio_source do, and 'arrival' takes no notice of stamps")
    device_clocks: str = setting(
        'shared', "'shared' where the stamps of several topics can be trusted to a tenth of a "
        "millisecond, 'separate' where offset and drift are to be found by ear first")
    device_timeout: float = setting(
        0.3, 'seconds of audio that a device may be behind the others before it is left out',
        0.05, 1.5, live=True)
    max_clock_offset: float = setting(
        0.1, "how far one device's clock may be off another's, seconds", 0.005, 0.2)
    microphone_source: str = setting(
        'tf', "where microphone positions come from: 'tf' (microphone_frames or "
        "microphone_frame_prefix), 'pose_array' (the topic microphones) or 'fixed' "
        '(microphone_positions)')
    microphone_frames: tuple[str, ...] = setting(
        (), "TF frame of each audio channel's microphone, in the channels' order")
    microphone_frame_prefix: str = setting(
        '', 'instead of microphone_frames: channel k has the frame <prefix>k')
    microphone_positions: tuple[float, ...] = setting(
        (), "the microphones' x, y, z one after another, metres in microphone_positions_frame")
    microphone_positions_frame: str = setting(
        '', 'the frame of microphone_positions, such as base_link; empty is frame_id')
    transform_timeout: float = setting(
        0.2, 'how long a window waits for a transform that has not arrived yet, seconds',
        0.0, 5.0, live=True)
    pose_timeout: float = setting(
        0.0, 'age from which on a stamped PoseArray is stale, seconds; 0 means never',
        0.0, 3600.0, live=True)
    min_microphones: int = setting(
        3, 'fewest microphones that an estimate may rest on (two leave a whole hyperbola)',
        2, 1024, live=True)
    silence_threshold_db: float = setting(
        -60.0, 'a window is silent where its loudest channel is below this level, dB full scale',
        -200.0, 0.0, live=True)
    min_confidence: float = setting(
        0.5, 'no pose is published where the confidence is below this; likelihood is',
        0.0, 1.0, live=True)
    latency_budget: float = setting(
        0.5, 'seconds from the arrival of a window to its estimate beyond which diagnostics warn',
        0.01, 60.0, live=True)
    window_length: float = setting(
        _WINDOW.length, 'length of a window, seconds', 0.1, 10.0)
    window_hop: float = setting(
        _WINDOW.hop, 'time between two windows, seconds', 0.01, 10.0)
    stamp_tolerance: float = setting(
        _WINDOW.stamp_tolerance, "how far a chunk's stamp may stray from the sample count before "
        'it counts as a gap or an overlap, seconds (at most half a chunk)', 0.0001, 1.0)
    queue_size: int = setting(
        2, 'windows that may wait for the localizer; beyond it the oldest is dropped', 1, 1000)

    def __post_init__(self):
        """Refuse what no single range can: vectors, choices and combinations."""
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(f'{name} must be one of {", ".join(map(repr, choices))}, got '
                                 f'{getattr(self, name)!r}')
        if not self.frame_id:
            raise ValueError('frame_id must not be empty')
        for name in ('room_dims', 'room_origin')[self.room_source == 'map':]:
            value = getattr(self, name)
            if len(value) != 3 or not all(math.isfinite(v) for v in value):
                raise ValueError(f'{name} must be three numbers in metres, got {list(value)}')
        if self.room_dims and min(self.room_dims) <= 0:
            raise ValueError(f'room_dims must be above 0, got {list(self.room_dims)}')
        self._check_microphones()
        self._check_topics()
        self.window  # refuses lengths that do not fit each other

    def _check_microphones(self):
        if self.microphone_source == 'tf' and not self.microphone_frame_prefix:
            if len(self.microphone_frames) < 2:
                raise ValueError('microphone_frames must name one TF frame for each audio channel '
                                 '(2 or more), or microphone_frame_prefix begin their names, or '
                                 "microphone_source be 'pose_array' or 'fixed'")
            if len(set(self.microphone_frames)) < len(self.microphone_frames):
                raise ValueError('microphone_frames names a frame twice')
        if self.microphone_source == 'tf' and self.microphone_frame_prefix and (
                self.microphone_frames):
            raise ValueError('microphone_frames and microphone_frame_prefix exclude each other')
        if self.microphone_source == 'fixed':
            flat = self.microphone_positions
            if len(flat) < 6 or len(flat) % 3 or not all(math.isfinite(v) for v in flat):
                raise ValueError('microphone_positions must hold x, y, z in metres for each of 2 '
                                 f'or more microphones, got {list(flat)}')

    def _check_topics(self):
        topics, channels = self.audio_topics, self.audio_channels
        if not topics or not all(topics) or len(set(topics)) < len(topics):
            raise ValueError(f'audio_topics must name different topics, got {list(topics)}')
        if not SOURCES[self.audio_source].stamped and self.stamp_marks in ('start', 'end'):
            raise ValueError(f'audio_source {self.audio_source!r} has no stamps: stamp_marks '
                             f'cannot be {self.stamp_marks!r}')
        if channels and (len(channels) != len(topics) or min(channels) < 1):
            raise ValueError('audio_channels must be a number above 0 for each of audio_topics, '
                             f'got {list(channels)}')
        known = self.n_microphones
        if channels and known and sum(channels) != known:
            raise ValueError(f'audio_channels are {sum(channels)} together, but {known} '
                             'microphones are configured')
        if len(topics) > 1 and not channels and (not known or known % len(topics)):
            raise ValueError('audio_channels must say how many channels each of audio_topics has')

    @property
    def n_microphones(self):
        """Return how many microphones are configured; 0 where only the audio tells."""
        if self.microphone_source == 'fixed':
            return len(self.microphone_positions) // 3
        return len(self.microphone_frames) if self.microphone_source == 'tf' else 0

    @property
    def stamps(self):
        """Return what stamps mark: 'start', 'end', or 'arrival' where there are none."""
        if self.stamp_marks == 'auto':
            return SOURCES[self.audio_source].stamp_marks
        return self.stamp_marks

    @property
    def topic_channels(self):
        """Return how many channels each topic has; 0 where only the audio tells."""
        share = self.n_microphones // len(self.audio_topics)
        return self.audio_channels or (share,) * len(self.audio_topics)

    @property
    def window(self):
        """Return how windows are cut, as the core wants it."""
        return WindowConfig(self.window_length, self.window_hop, self.stamp_tolerance)
