"""
The audio messages of the field, read alike: what each kind is called, holds, and stamps.

Message packages are imported when a kind is chosen, since nobody has all of them: the two that
are called audio_common_msgs cannot even be installed together, so the one that is there decides.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
import sys

from nsrp_ros.audio.sample_formats import AudioError
from nsrp_ros.audio.sample_formats import check_format
from nsrp_ros.audio.sample_formats import samples_from_bytes
from nsrp_ros.core.stamps import NS
from nsrp_ros.core.stamps import stamp_to_ns
import numpy as np

_NATIVE = 'LE' if sys.byteorder == 'little' else 'BE'


class SourceError(ValueError):
    """A kind of audio whose messages are not installed; the text says what to install."""


@dataclass(frozen=True)
class Layout:
    """How the bytes of a message are to be read; see `samples.check_format`."""

    coding_format: str
    sample_format: str
    sample_rate: int
    channels: int


@dataclass(frozen=True)
class Chunk:
    """
    Samples of one device that follow one another.

    Attributes
    ----------
    samples : numpy.ndarray
        Shape (n, M), float32, full scale being 1.
    start_ns : int
        Time of the first of them, nanoseconds.
    sample_rate : int
        Hertz.

    """

    samples: np.ndarray
    start_ns: int
    sample_rate: int


@dataclass(frozen=True)
class Source:
    """
    One kind of audio message.

    Attributes
    ----------
    package, message, info : str
        Where its types are; `info` is empty where a message says itself what it holds.
    stamp_marks : str
        What the drivers that send it stamp: the 'start' or the 'end' of a chunk, or nothing at
        all ('arrival'), in which case a chunk is taken to end when it arrives.
    read : callable
        Takes a message and the last info; returns (Layout, bytes).
    hint : str
        What to install.

    """

    package: str
    message: str
    info: str
    stamp_marks: str
    read: Callable
    hint: str

    @property
    def stamped(self):
        """Return whether the messages carry a time at all."""
        return self.stamp_marks != 'arrival'

    def types(self):
        """
        Import the message's type, and that of its info or None.

        Raises
        ------
        SourceError
            If this machine has no such messages.

        """
        try:
            module = import_module(f'{self.package}.msg')
        except ImportError as error:
            raise SourceError(f'{self.package} is not installed: {self.hint}') from error
        if not hasattr(module, self.message):
            raise SourceError(f'the {self.package} that is installed has no {self.message}, so '
                              f'it is another package of that name: {self.hint}')
        return getattr(module, self.message), getattr(module, self.info) if self.info else None

    def chunk(self, message, info, stamp_marks, now_ns, n_channels=0):
        """
        Decode a message.

        Parameters
        ----------
        message, info : object
            The message, and the last info or None.
        stamp_marks : str
            'start', 'end' or 'arrival'.
        now_ns : int
            When the message arrived.
        n_channels : int
            How many channels there should be; 0 if nobody said.

        Returns
        -------
        Chunk
            With the time of its first sample, whatever the stamp marks.

        Raises
        ------
        AudioError
            If the message cannot be understood.

        """
        layout, data = self.read(message, info)
        check_format(layout.coding_format, layout.sample_format, layout.sample_rate,
                     layout.channels, n_channels)
        samples = samples_from_bytes(data, layout.sample_format, layout.channels)
        time_ns = now_ns if stamp_marks == 'arrival' else stamp_to_ns(message.header.stamp)
        if stamp_marks != 'start':
            time_ns -= len(samples) * NS // layout.sample_rate
        return Chunk(samples, time_ns, layout.sample_rate)


def _ros_drivers(data, info):
    if info is None:
        raise AudioError('no audio_info', 'audio arrives, but no AudioInfo says what it is '
                         '(the topic of the audio with _info added)')
    return Layout(info.coding_format, info.sample_format, info.sample_rate, info.channels), data


# PortAudio's codes.
_MGONZS13 = {1: ('float32_data', 'F32'), 2: ('int32_data', 'S32'), 8: ('int16_data', 'S16'),
             16: ('int8_data', 'S8'), 32: ('uint8_data', 'U8')}


def _mgonzs13(message, _):
    info, audio = message.audio.info, message.audio.audio_data
    if info.format not in _MGONZS13:
        raise AudioError('sample format', f'unknown PortAudio format {info.format}; known are '
                         f'{", ".join(str(code) for code in _MGONZS13)}')
    field, kind = _MGONZS13[info.format]
    values = getattr(audio, field)
    others = [name for name, _ in _MGONZS13.values() if len(getattr(audio, name))]
    if others and not len(values):
        raise AudioError('sample format', f'the format says {field}, but the samples are in '
                         f'{others[0]}')
    name = kind if kind.endswith('8') else kind + _NATIVE
    # An array of numbers or, for int8 and uint8 alike, of bytes.
    return Layout('', name, info.rate, info.channels), np.asarray(values).tobytes()


_AUDIO_UTILS = {'signed_8': 'S8', 'unsigned_8': 'U8', 'signed_16': 'S16LE',
                'unsigned_16': 'U16LE', 'signed_24': 'S24LE', 'signed_padded_24': 'S24_32LE',
                'signed_32': 'S32LE', 'unsigned_32': 'U32LE', 'float': 'F32LE',
                'double': 'F64LE'}


def _audio_utils(message, _):
    if message.format not in _AUDIO_UTILS:
        raise AudioError('sample format', f'unknown format {message.format!r}; known are '
                         f'{", ".join(_AUDIO_UTILS)}')
    layout = Layout('', _AUDIO_UTILS[message.format], message.sampling_frequency,
                    message.channel_count)
    size = len(message.data)
    frames = message.frame_sample_count
    if frames and message.channel_count and size % (frames * message.channel_count):
        raise AudioError('truncated', f'{size} bytes are no {frames} samples of '
                         f'{message.channel_count} channels')
    return layout, message.data


_ROS_DRIVERS_HINT = ('install the one of ros-drivers/audio_common '
                     '(ros-$ROS_DISTRO-audio-common-msgs)')
SOURCES = {
    'ros_drivers_stamped': Source(
        'audio_common_msgs', 'AudioDataStamped', 'AudioInfo', 'start',
        lambda message, info: _ros_drivers(message.audio.data, info), _ROS_DRIVERS_HINT),
    'ros_drivers': Source(
        'audio_common_msgs', 'AudioData', 'AudioInfo', 'arrival',
        lambda message, info: _ros_drivers(message.data, info), _ROS_DRIVERS_HINT),
    'mgonzs13': Source(
        'audio_common_msgs', 'AudioStamped', '', 'start', _mgonzs13,
        'build the one of mgonzs13/audio_common'),
    'audio_utils': Source(
        'audio_utils_msgs', 'AudioFrame', '', 'end', _audio_utils,
        'build audio_utils_msgs of introlab/audio_utils'),
}
"""What the parameter `audio_source` may be."""
