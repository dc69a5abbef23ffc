"""Copies of a channel are found, whatever became of them; microphones are none."""

from nsrp_ros.core.signal_checks import check_distinct
from nsrp_ros.core.signal_checks import copied_channels
import numpy as np
import pytest


def quantized(signals):
    """Return signals as 16 bits hold them."""
    return np.round(np.asarray(signals) * 32768).astype(np.int16) / np.float32(32768)


@pytest.mark.parametrize('level', [3e-4, 0.05])
@pytest.mark.parametrize('change', [
    lambda x: x, lambda x: -x, lambda x: 0.3 * x, lambda x: 3 * x, lambda x: x + 0.2])
def test_copies_are_found(change, level):
    """Equal, inverted, with another gain, with an offset: also in 16 bits, also quiet ones."""
    signals = np.random.default_rng(0).standard_normal((3, 8000)) * level
    signals[2] = change(signals[0])
    assert copied_channels(signals.astype(np.float32)) == [[0, 2]]
    if level > 0.01:
        assert copied_channels(quantized(signals)) == [[0, 2]]


def test_all_of_one():
    """Six copies are one group, two pairs of copies are two."""
    signals = np.random.default_rng(0).standard_normal((3, 8000)).astype(np.float32)
    assert copied_channels(np.repeat(signals[:1], 6, axis=0)) == [[0, 1, 2, 3, 4, 5]]
    assert copied_channels(signals[[0, 1, 1, 2, 0]]) == [[0, 4], [1, 2]]
    with pytest.raises(ValueError, match=r'channels 0, 1 and 2 are copies'):
        check_distinct(np.repeat(signals[:1], 3, axis=0))
    with pytest.raises(ValueError, match=r'channels \[0, 4\] and \[1, 2\] are copies'):
        check_distinct(signals[[0, 1, 1, 2, 0]])
    check_distinct(signals)


def test_microphones_are_no_copies(anechoic):
    """Not a centimetre apart with hum on them, not silent ones, not delayed ones."""
    time = np.arange(8000) / 16000
    hum = 0.3 * np.stack([np.sin(2 * np.pi * 50 * (time - lag)) for lag in (0, 0.01 / 343)])
    voice = anechoic.signals(level=0.01)[0]
    noise = 1e-4 * np.random.default_rng(1).standard_normal((2, 8000))
    close = hum + voice + noise
    assert copied_channels(quantized(close)) == []
    assert copied_channels(np.zeros((4, 8000), np.float32)) == []
    assert copied_channels(anechoic.signals()) == []
    assert copied_channels(np.stack([voice, np.roll(voice, 1)])) == []
