"""
The localizer's parameters: one dataclass, from which parameter_declaration.py declares them.

Each field carries its description, its range and whether it may change while the node runs;
`NodeConfig` refuses contradictory combinations, with a sentence.
"""

from dataclasses import dataclass
import math

from nsrp_ros.audio.message_types import SOURCES
from nsrp_ros.pipeline.settings import LocalizationSettings
from nsrp_ros.pipeline.settings import setting
from nsrp_ros.pipeline.settings import STAMP_MARKS

_CHOICES = {
    'room_source': ('parameters', 'map'),
    'audio_source': tuple(SOURCES),
    'stamp_marks': STAMP_MARKS,
    'device_clocks': ('shared', 'separate'),
    'microphone_source': ('tf', 'pose_array', 'fixed'),
}


@dataclass(frozen=True)
class NodeConfig(LocalizationSettings):
    """The parameters of the localizer node; the descriptions are their documentation."""

    autostart: bool = setting(
        True, 'configure and activate itself at the start; False leaves both to a lifecycle '
        'manager')
    device: str = setting('cpu', "torch device that networks run on, such as 'cuda:0'")
    threads: int = setting(
        1, 'CPU threads that a network may use; below twelve microphones more cost more than they '
        'gain; 0 leaves the number to its library', 0, 256)
    room_source: str = setting(
        'parameters', "where the room comes from: 'parameters' (room_dims, room_origin) or 'map' "
        '(the known cells of a nav_msgs/OccupancyGrid on the topic map, and room_height)')
    room_height: float = setting(
        2.5, 'height of the room where room_source is map, metres', 0.5, 50.0)
    audio_source: str = setting(
        'ros_drivers_stamped', "the kind of audio messages: 'ros_drivers_stamped' "
        "(audio_common_msgs/AudioDataStamped with AudioInfo), 'ros_drivers' (AudioData with "
        "AudioInfo; it has no stamp, so the time of arrival is used), 'mgonzs13' (AudioStamped "
        "of the other audio_common_msgs) or 'audio_utils' (audio_utils_msgs/AudioFrame)")
    audio_topics: tuple[str, ...] = setting(
        ('audio',), 'a topic for each device, or for each channel, in the order of the '
        'microphones; an AudioInfo is on <topic>_info')
    audio_channels: tuple[int, ...] = setting(
        (), 'how many channels each of several topics has; empty where all have as many')
    device_clocks: str = setting(
        'shared', "'shared' where the stamps of several topics are accurate to a tenth of a "
        "millisecond, 'separate' where offset and drift are estimated from the audio first")
    device_timeout: float = setting(
        0.3, 'seconds of audio that a device may be behind the others before it is left out',
        0.05, 1.5, live=True)
    max_clock_offset: float = setting(
        0.1, 'largest offset between the clocks of two devices, seconds', 0.005, 0.2)
    microphone_source: str = setting(
        'tf', "where microphone positions come from: 'tf' (microphone_frames or "
        "microphone_frame_prefix), 'pose_array' (the topic microphones) or 'fixed' "
        '(microphone_positions)')
    transform_timeout: float = setting(
        0.2, 'how long a window waits for a transform that has not arrived yet, seconds',
        0.0, 5.0, live=True)
    pose_timeout: float = setting(
        0.0, 'age above which a stamped PoseArray is stale, seconds; 0 means never',
        0.0, 3600.0, live=True)
    latency_budget: float = setting(
        0.5, 'seconds from the arrival of a window to its estimate beyond which diagnostics warn',
        0.01, 60.0, live=True)
    queue_size: int = setting(
        2, 'windows that may wait for the localizer; beyond it the oldest is dropped', 1, 1000)

    def __post_init__(self) -> None:
        """Refuse values that no range excludes: vectors, choices and combinations."""
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(f'{name} must be one of {", ".join(map(repr, choices))}, got '
                                 f'{getattr(self, name)!r}')
        if not self.frame_id:
            raise ValueError('frame_id must not be empty')
        self.check_room(*('room_dims', 'room_origin')[self.room_source == 'map':])
        self._check_microphones()
        self._check_topics()
        self.window  # raises ValueError where length and hop contradict each other

    def _check_microphones(self) -> None:
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

    def _check_topics(self) -> None:
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
    def n_microphones(self) -> int:
        """Return the number of configured microphones; 0 where only the audio shows it."""
        if self.microphone_source == 'fixed':
            return len(self.microphone_positions) // 3
        return len(self.microphone_frames) if self.microphone_source == 'tf' else 0

    @property
    def stamps(self) -> str:
        """Return what stamps mark: 'start', 'end', or 'arrival' where there are none."""
        if self.stamp_marks == 'auto':
            return SOURCES[self.audio_source].stamp_marks
        return self.stamp_marks

    @property
    def topic_channels(self) -> tuple[int, ...]:
        """Return the number of channels of each topic; 0 where only the audio shows it."""
        share = self.n_microphones // len(self.audio_topics)
        return self.audio_channels or (share,) * len(self.audio_topics)
