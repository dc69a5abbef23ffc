"""
The audio messages of several ROS packages: their types, contents and stamps, read alike.

Message packages are imported when a kind is chosen, since they are seldom all installed: two of
them are called audio_common_msgs and exclude each other.
"""

import array
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
import sys
from typing import Any
from typing import TypeAlias

from nsrp_ros.audio.sample_formats import AudioError
from nsrp_ros.audio.sample_formats import check_format
from nsrp_ros.audio.sample_formats import samples_from_bytes
from nsrp_ros.core.skip_reasons import SkipReason
from nsrp_ros.core.stamps import NS
from nsrp_ros.core.stamps import stamp_to_ns
import numpy as np

Bytes: TypeAlias = 'bytes | array.array[int]'
_NATIVE = 'LE' if sys.byteorder == 'little' else 'BE'


class SourceError(ValueError):
    """The messages of a kind of audio are not installed; the text says what to install."""


@dataclass(frozen=True)
class Layout:
    """How to decode the bytes of a message; see `sample_formats.check_format`."""

    coding_format: str
    sample_format: str
    sample_rate: int
    channels: int


@dataclass(frozen=True)
class Chunk:
    """
    Consecutive samples of one device.

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
        Where its types are; `info` is empty where a message describes its contents itself.
    stamp_marks : str
        What drivers stamp: the 'start' or the 'end' of a chunk, or nothing ('arrival'), in which
        case a chunk is assumed to end when it arrives.
    read : callable
        Takes a message and the latest info; returns (Layout, bytes).
    hint : str
        What to install.

    """

    package: str
    message: str
    info: str
    stamp_marks: str
    read: Callable[[Any, Any], tuple[Layout, Bytes]]
    hint: str

    @property
    def stamped(self) -> bool:
        """Return whether the messages carry a time."""
        return self.stamp_marks != 'arrival'

    def types(self) -> tuple[type, type | None]:
        """
        Import the type of the message, and that of its info or None.

        Raises
        ------
        SourceError
            If these messages are not installed.

        """
        try:
            module = import_module(f'{self.package}.msg')
        except ImportError as error:
            raise SourceError(f'{self.package} is not installed: {self.hint}') from error
        if not hasattr(module, self.message):
            raise SourceError(f'the {self.package} that is installed has no {self.message}, so '
                              f'it is another package of that name: {self.hint}')
        return getattr(module, self.message), getattr(module, self.info) if self.info else None

    def chunk(self, message: Any, info: Any, stamp_marks: str, now_ns: int,
              n_channels: int = 0) -> Chunk:
        """
        Decode a message.

        Parameters
        ----------
        message, info : object
            The message, and the latest info or None.
        stamp_marks : str
            'start', 'end' or 'arrival'.
        now_ns : int
            When the message arrived, nanoseconds.
        n_channels : int
            Expected number of channels; 0 if any.

        Returns
        -------
        Chunk
            With the time of its first sample.

        Raises
        ------
        AudioError
            If the message cannot be decoded.

        """
        layout, data = self.read(message, info)
        check_format(layout.coding_format, layout.sample_format, layout.sample_rate,
                     layout.channels, n_channels)
        samples = samples_from_bytes(data, layout.sample_format, layout.channels)
        time_ns = now_ns if stamp_marks == 'arrival' else stamp_to_ns(message.header.stamp)
        if stamp_marks != 'start':
            time_ns -= len(samples) * NS // layout.sample_rate
        return Chunk(samples, time_ns, layout.sample_rate)


def _ros_drivers(data: Bytes, info: Any) -> tuple[Layout, Bytes]:
    if info is None:
        raise AudioError(
            SkipReason.NO_AUDIO_INFO, 'audio arrives, but no AudioInfo says what it is (the topic '
            'of the audio with _info added)')
    return Layout(info.coding_format, info.sample_format, info.sample_rate, info.channels), data


# By PortAudio's code: the field of the samples, and their format.
_MGONZS13 = {1: ('float32_data', 'F32'), 2: ('int32_data', 'S32'), 8: ('int16_data', 'S16'),
             16: ('int8_data', 'S8'), 32: ('uint8_data', 'U8')}


def _mgonzs13(message: Any, _: Any) -> tuple[Layout, Bytes]:
    info, audio = message.audio.info, message.audio.audio_data
    if info.format not in _MGONZS13:
        known = ', '.join(str(code) for code in _MGONZS13)
        raise AudioError(SkipReason.SAMPLE_FORMAT,
                         f'unknown PortAudio format {info.format}; known are {known}')
    field, kind = _MGONZS13[info.format]
    values = getattr(audio, field)
    others = [name for name, _ in _MGONZS13.values() if len(getattr(audio, name))]
    if others and not len(values):
        raise AudioError(SkipReason.SAMPLE_FORMAT,
                         f'the format says {field}, but the samples are in {others[0]}')
    name = kind if kind.endswith('8') else kind + _NATIVE
    # An array of numbers or, for int8 and uint8 alike, of bytes.
    return Layout('', name, info.rate, info.channels), np.asarray(values).tobytes()


_AUDIO_UTILS = {'signed_8': 'S8', 'unsigned_8': 'U8', 'signed_16': 'S16LE',
                'unsigned_16': 'U16LE', 'signed_24': 'S24LE', 'signed_padded_24': 'S24_32LE',
                'signed_32': 'S32LE', 'unsigned_32': 'U32LE', 'float': 'F32LE',
                'double': 'F64LE'}


def _audio_utils(message: Any, _: Any) -> tuple[Layout, Bytes]:
    if message.format not in _AUDIO_UTILS:
        raise AudioError(SkipReason.SAMPLE_FORMAT, f'unknown format {message.format!r}; known are '
                         f'{", ".join(_AUDIO_UTILS)}')
    layout = Layout('', _AUDIO_UTILS[message.format], message.sampling_frequency,
                    message.channel_count)
    size = len(message.data)
    frames = message.frame_sample_count
    if frames and message.channel_count and size % (frames * message.channel_count):
        raise AudioError(SkipReason.TRUNCATED, f'{size} bytes are no {frames} samples of '
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
"""The values of the parameter `audio_source`."""
