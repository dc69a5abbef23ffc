"""Audio samples as they lie in messages: formats to and from NumPy, and what is refused."""

import array

import numpy as np

# Sample format: how it lies in memory, the value of silence, and of full scale.
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
"""Share of an 8-bit chunk's steps across half the range from which on they are no sound: speech
has none, and noise has as many only where it is clipped."""
WRAPPED_MIDDLE = 0.02
"""Share of its samples in the middle half of the range that a sound cannot do without on its way
from one end to the other."""
WRAPPED_SAMPLES = 64
"""Fewest samples that either can be told of."""


class AudioError(ValueError):
    """
    Audio that cannot be understood.

    Attributes
    ----------
    reason : str
        A short name under which such chunks are counted; the sentence is the exception's text.

    """

    def __init__(self, reason, sentence):
        super().__init__(sentence)
        self.reason = reason


def check_format(coding_format, sample_format, sample_rate, channels, n_channels=0):
    """
    Refuse audio that is not plain samples of the microphones that are configured.

    Parameters
    ----------
    coding_format : str
        Such as 'wave' or 'mp3'; empty from drivers that only ever send samples.
    sample_format : str
        Such as 'S16LE'.
    sample_rate : int
        Hertz.
    channels : int
        How many channels are interleaved.
    n_channels : int
        How many there should be; 0 if nobody said.

    Raises
    ------
    AudioError
        With the reason 'not wave', 'sample format', 'sample rate' or 'channel count'.

    """
    if coding_format.lower() not in ('wave', 'wav', 'raw', 'pcm', ''):
        raise AudioError('not wave', f'the audio is coded as {coding_format!r}; only plain '
                         "samples can be located: set the source's format to 'wave'")
    if sample_format.upper() not in _FORMATS:
        raise AudioError('sample format', f'unknown sample format {sample_format!r}; '
                         f'known are {", ".join(_FORMATS)}')
    if not 1000 <= sample_rate <= 1_000_000:
        raise AudioError('sample rate', f'a sample rate of {sample_rate} Hz is none for speech')
    if channels < 1:
        raise AudioError('channel count', f'the audio has {channels} channels')
    if n_channels and channels != n_channels:
        raise AudioError('channel count', f'the audio has {channels} channels, but '
                         f'{n_channels} microphones are configured')


def samples_from_bytes(data, sample_format, n_channels):
    """
    Decode interleaved samples.

    Parameters
    ----------
    data : bytes or array.array
        Bytes, as the message brings them.
    sample_format : str
        Such as 'S16LE'.
    n_channels : int
        How many channels are interleaved.

    Returns
    -------
    numpy.ndarray
        Shape (n, M), float32, integers scaled to [-1, 1).

    Raises
    ------
    AudioError
        With the reason 'truncated' where the bytes do not make whole frames, or 'one byte' where
        single bytes are what is left of longer samples.

    """
    kind, silence, full_scale = _FORMATS[sample_format.upper()]
    size = int(kind[-1])
    if len(data) % (size * n_channels):
        raise AudioError('truncated', f'a chunk of {len(data)} bytes does not hold whole frames '
                         f'of {n_channels} {sample_format} samples ({size * n_channels} bytes)')
    if size == 3:  # which NumPy has no type for: moved to the upper bytes of four
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


def _refuse_wrapped(samples, silence):
    """Refuse bytes that jump from one end of their range to the other, as no sound does."""
    if len(samples) < WRAPPED_SAMPLES:
        return
    centred = samples.astype(np.int16) - silence
    jumps = np.abs(np.diff(centred, axis=0)) > 2 ** 7
    # What was loud jumps all the time, what was quiet at every crossing of zero.
    quiet = jumps.any() and (np.abs(centred) < 2 ** 6).mean() < WRAPPED_MIDDLE
    if jumps.mean() > WRAPPED_SHARE or quiet:
        raise AudioError('one byte', 'the 8-bit samples jump from one end of their range to the '
                         'other: they are the lower bytes of 16-bit samples, from a driver that '
                         'casts int16 to uint8; what they held is lost')


def bytes_from_samples(samples):
    """
    Encode samples as interleaved S16LE.

    Parameters
    ----------
    samples : numpy.ndarray
        Shape (n, M), full scale being 1; what lies beyond is clipped.

    Returns
    -------
    array.array
        Unsigned bytes, the type that message setters take without a loop.

    """
    pcm = np.clip(np.round(np.asarray(samples) * 2 ** 15), -2 ** 15, 2 ** 15 - 1)
    return array.array('B', pcm.astype('<i2').tobytes())
