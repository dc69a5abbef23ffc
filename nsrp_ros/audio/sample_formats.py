"""Sample formats of audio messages: conversion to and from NumPy, and validation."""

import array

from nsrp_ros.core.skip_reasons import SkipReason
import numpy as np
from numpy.typing import ArrayLike

# By sample format: NumPy type, the value of silence, and that of full scale.
_FORMATS = {
    'S8': ('i1', 0, 2 ** 7),
    'U8': ('u1', 2 ** 7, 2 ** 7),
    'S16LE': ('<i2', 0, 2 ** 15),
    'S16BE': ('>i2', 0, 2 ** 15),
    'U16LE': ('<u2', 2 ** 15, 2 ** 15),
    'S24LE': ('<i3', 0, 2 ** 23),  # three bytes a sample
    'S24_32LE': ('<i4', 0, 2 ** 23),  # the lower three bytes of four
    'S32LE': ('<i4', 0, 2 ** 31),
    'S32BE': ('>i4', 0, 2 ** 31),
    'U32LE': ('<u4', 2 ** 31, 2 ** 31),
    'F32LE': ('<f4', 0, 1),
    'F32BE': ('>f4', 0, 1),
    'F64LE': ('<f8', 0, 1),
    'F64BE': ('>f8', 0, 1),
}
"""GStreamer's names, which audio_common_msgs/AudioInfo uses too."""
WRAPPED_SHARE = 0.03
"""Share of an 8-bit chunk's steps that exceed half the range above which they are not audio:
speech has none, and noise as many only if it is clipped."""
WRAPPED_MIDDLE = 0.02
"""Smallest share of samples in the middle half of the range, which audio crosses on its way from
one end to the other."""
WRAPPED_SAMPLES = 64
"""Fewest samples for which either share is meaningful."""


class AudioError(ValueError):
    """
    Audio that cannot be decoded.

    Attributes
    ----------
    reason : SkipReason
        The reason under which such chunks are counted; the sentence is the exception's text.

    """

    def __init__(self, reason: SkipReason, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason


def check_format(coding_format: str, sample_format: str, sample_rate: int, channels: int,
                 n_channels: int = 0) -> None:
    """
    Refuse audio that is not plain samples of the configured microphones.

    Parameters
    ----------
    coding_format : str
        Such as 'wave' or 'mp3'; empty from drivers that send plain samples only.
    sample_format : str
        Such as 'S16LE'.
    sample_rate : int
        Hertz.
    channels : int
        Number of interleaved channels.
    n_channels : int
        Expected number of channels; 0 if any.

    Raises
    ------
    AudioError
        With the reason NOT_WAVE, SAMPLE_FORMAT, SAMPLE_RATE or CHANNEL_COUNT.

    """
    if coding_format.lower() not in ('wave', 'wav', 'raw', 'pcm', ''):
        raise AudioError(
            SkipReason.NOT_WAVE,
            f'the audio is coded as {coding_format!r}; only plain samples can '
            "be located: set the source's format to 'wave'")
    if sample_format.upper() not in _FORMATS:
        raise AudioError(SkipReason.SAMPLE_FORMAT, f'unknown sample format {sample_format!r}; '
                         f'known are {", ".join(_FORMATS)}')
    if not 1000 <= sample_rate <= 1_000_000:
        raise AudioError(SkipReason.SAMPLE_RATE,
                         f'a sample rate of {sample_rate} Hz is none for speech')
    if channels < 1:
        raise AudioError(SkipReason.CHANNEL_COUNT, f'the audio has {channels} channels')
    if n_channels and channels != n_channels:
        raise AudioError(SkipReason.CHANNEL_COUNT, f'the audio has {channels} channels, but '
                         f'{n_channels} microphones are configured')


def samples_from_bytes(data: 'bytes | array.array[int]', sample_format: str,
                       n_channels: int) -> np.ndarray:
    """
    Decode interleaved samples.

    Parameters
    ----------
    data : bytes or array.array
        The message's bytes.
    sample_format : str
        Such as 'S16LE'.
    n_channels : int
        Number of interleaved channels.

    Returns
    -------
    numpy.ndarray
        Shape (n, M), float32, integers scaled to [-1, 1).

    Raises
    ------
    AudioError
        With the reason TRUNCATED where the bytes are not whole frames, or ONE_BYTE where they are
        the lower bytes of longer samples.

    """
    kind, silence, full_scale = _FORMATS[sample_format.upper()]
    size = int(kind[-1])
    if len(data) % (size * n_channels):
        raise AudioError(
            SkipReason.TRUNCATED, f'a chunk of {len(data)} bytes does not hold whole frames of '
            f'{n_channels} {sample_format} samples ({size * n_channels} bytes)')
    if size == 3:  # no NumPy type: moved to the upper bytes of four
        padded = np.zeros((len(data) // 3, 4), dtype=np.uint8)
        padded[:, 1:] = np.frombuffer(data, dtype=np.uint8).reshape(-1, 3)
        samples = padded.view('<i4').reshape(-1, n_channels) >> 8
    else:
        samples = np.frombuffer(data, dtype=kind).reshape(-1, n_channels)
    if size == 1:
        _refuse_wrapped(samples, silence)
    if samples.dtype.kind == 'f':
        return samples.astype(np.float32)
    return ((samples.astype(np.float64) - silence) / full_scale).astype(np.float32)


def _refuse_wrapped(samples: np.ndarray, silence: int) -> None:
    """Refuse bytes that jump from one end of their range to the other, unlike any audio."""
    if len(samples) < WRAPPED_SAMPLES:
        return
    centred = samples.astype(np.int16) - silence
    jumps = np.abs(np.diff(centred, axis=0)) > 2 ** 7
    # Loud audio wraps all the time, quiet audio at every crossing of zero.
    quiet = jumps.any() and (np.abs(centred) < 2 ** 6).mean() < WRAPPED_MIDDLE
    if jumps.mean() > WRAPPED_SHARE or quiet:
        raise AudioError(
            SkipReason.ONE_BYTE,
            'the 8-bit samples jump from one end of their range to the other: they are the lower '
            'bytes of 16-bit samples, from a driver that casts int16 to uint8; the audio cannot '
            'be recovered')


def bytes_from_samples(samples: ArrayLike) -> 'array.array[int]':
    """
    Encode samples as interleaved S16LE.

    Parameters
    ----------
    samples : array_like
        Shape (n, M), full scale being 1; values beyond are clipped.

    Returns
    -------
    array.array
        Unsigned bytes, the type that message setters accept without a copy loop.

    """
    pcm = np.clip(np.round(np.asarray(samples) * 2 ** 15), -2 ** 15, 2 ** 15 - 1)
    return array.array('B', pcm.astype('<i2').tobytes())
