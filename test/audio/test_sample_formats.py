"""Samples round-trip exactly, and what cannot be decoded is refused."""

import array

from nsrp_ros.audio import sample_formats
import numpy as np
import pytest


def test_samples_round_trip_exactly():
    """Every 16-bit value of every channel."""
    pcm = np.arange(-2 ** 15, 2 ** 15).reshape(-1, 4)
    data = sample_formats.bytes_from_samples(pcm / 2 ** 15)
    assert isinstance(data, array.array)
    again = sample_formats.samples_from_bytes(data, 'S16LE', 4)
    np.testing.assert_array_equal(again * 2 ** 15, pcm)
    np.testing.assert_array_equal(sample_formats.bytes_from_samples(again), data)


def test_loud_samples_are_clipped_not_wrapped():
    """Beyond full scale."""
    data = sample_formats.bytes_from_samples([[1.5, -1.5]])
    np.testing.assert_allclose(sample_formats.samples_from_bytes(data, 'S16LE', 2), [[1, -1]],
                               atol=1e-4)


@pytest.mark.parametrize('name, kind, scale, offset', [
    ('S8', 'i1', 128, 0), ('U8', 'u1', 128, 128), ('S16BE', '>i2', 2 ** 15, 0),
    ('U16LE', '<u2', 2 ** 15, 2 ** 15), ('S24_32LE', '<i4', 2 ** 23, 0),
    ('S32LE', '<i4', 2 ** 31, 0), ('U32LE', '<u4', 2 ** 31, 2 ** 31),
    ('F32LE', '<f4', 1, 0), ('F64BE', '>f8', 1, 0)])
def test_other_sample_formats(name, kind, scale, offset):
    """By their GStreamer names, they all decode to the same values."""
    values = np.array([[0.5, -0.25], [0.0, -1.0]])
    data = (values * scale + offset).astype(kind).tobytes()
    decoded = sample_formats.samples_from_bytes(data, name, 2)
    assert decoded.dtype == np.float32
    np.testing.assert_allclose(decoded, values)


def test_three_bytes_a_sample():
    """24 bits keep their sign and their lowest bit."""
    values = np.array([[1, -1], [2 ** 23 - 1, -2 ** 23]])
    data = b''.join(int(v).to_bytes(3, 'little', signed=True) for v in values.ravel())
    np.testing.assert_array_equal(
        sample_formats.samples_from_bytes(data, 'S24LE', 2) * 2.0 ** 23, values.astype(np.float32))


def test_truncated_chunks_are_refused():
    """A missing byte is an error, not a shifted channel."""
    for name in ('S16LE', 'S24LE'):
        with pytest.raises(sample_formats.AudioError, match='whole frames') as caught:
            sample_formats.samples_from_bytes(b'12345', name, 2)
        assert caught.value.reason == 'truncated'


@pytest.mark.parametrize('changes, reason', [
    ({'coding_format': 'mp3'}, 'not wave'), ({'sample_format': 'S17'}, 'sample format'),
    ({'sample_rate': 0}, 'sample rate'), ({'channels': 0}, 'channel count'),
    ({'channels': 5}, 'channel count')])
def test_audio_that_cannot_be_located_is_refused(changes, reason):
    """Each fault has its own reason."""
    good = {'channels': 6, 'sample_rate': 16000, 'sample_format': 'S16LE',
            'coding_format': 'wave', 'n_channels': 6}
    sample_formats.check_format(**good)
    sample_formats.check_format(**good | {'coding_format': 'WAVE', 'n_channels': 0})
    with pytest.raises(sample_formats.AudioError) as caught:
        sample_formats.check_format(**good | changes)
    assert caught.value.reason == reason


def voice(level, seconds=0.5):
    """Return a synthetic vowel (T, 2), int16: harmonics of 120 Hz and a little noise."""
    time = np.arange(round(seconds * 16000)) / 16000
    rng = np.random.default_rng(0)
    wave = sum(np.sin(2 * np.pi * 120 * k * time + k) / k for k in range(1, 20))
    wave = wave / np.abs(wave).max() + 0.01 * rng.standard_normal(len(time))
    return (level * np.stack([wave, 0.7 * wave], axis=1) * 2 ** 15).astype(np.int16)


@pytest.mark.parametrize('level', [0.9, 0.1, 0.01, 0.001])
def test_int16_cast_to_bytes_is_refused(level):
    """As one ReSpeaker driver does: recognised at any level."""
    pcm = voice(level)
    for chunk in pcm[:7680].reshape(15, 512, 2):
        with pytest.raises(sample_formats.AudioError, match='int16 to uint8') as caught:
            sample_formats.samples_from_bytes(chunk.astype(np.uint8).tobytes(), 'U8', 2)
        assert caught.value.reason == 'one byte'


@pytest.mark.parametrize('name, offset', [('U8', 128), ('S8', 0)])
def test_audio_of_8_bits_is_not_refused(name, offset):
    """Vowels at full scale, noise just below clipping, silence, and clicks."""
    noise = np.clip(0.25 * np.random.default_rng(1).standard_normal((8000, 2)), -1, 1)
    clicks = np.zeros((8000, 2))
    clicks[::100] = 0.99
    for sound in (voice(0.99) / 2 ** 15, noise, clicks, np.zeros((8000, 2))):
        data = np.clip(np.round(sound * 128) + offset, offset - 128, offset + 127)
        data = data.astype('u1' if offset else 'i1')
        for chunk in data[:7680].reshape(15, 512, 2):
            decoded = sample_formats.samples_from_bytes(chunk.tobytes(), name, 2)
            np.testing.assert_allclose(decoded * 128 + offset, chunk)
