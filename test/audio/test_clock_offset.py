"""The offset between the clocks of two devices, from the sound that both record."""

from nsrp_ros.audio.clock_offset import ClockLine
from nsrp_ros.audio.clock_offset import measure_offset
from nsrp_ros.core.geometry import SPEED_OF_SOUND
from nsrp_ros.core.stamps import NS
import numpy as np
import pytest

T0 = 1_790_000_000 * NS
MICS = np.array([(0.5, 0.5, 1.0), (0.9, 0.5, 1.4), (0.5, 1.0, 1.2),
                 (5.2, 4.5, 0.8), (4.9, 4.4, 1.6), (5.4, 4.0, 1.1)])
ROOM = (6.0, 5.0, 3.0)
IS_B = np.arange(6) >= 3


def record(source, late, seed=0, noise=0.05, rate=16000, n=8000):
    """Simulate white noise at six microphones; the last three's stamps are late by seconds."""
    rng = np.random.default_rng(seed)
    spectrum = np.fft.rfft(rng.standard_normal(4 * n))
    frequency = np.fft.rfftfreq(4 * n, 1 / rate)
    # In what is cut by late stamps, the sound arrives late.
    delay = 0.2 + np.linalg.norm(MICS - source, axis=1) / SPEED_OF_SOUND + late * IS_B
    signals = np.fft.irfft(spectrum * np.exp(-2j * np.pi * frequency * delay[:, None]))
    signals = signals[:, 2 * n:3 * n]
    return (signals + noise * rng.standard_normal(signals.shape)).astype(np.float32)


@pytest.mark.parametrize('late', [0.04, -0.0631, 0.0])
def test_the_offset_is_found_wherever_the_talker_is(late):
    """Within 0.3 milliseconds in the median; one position in five may give an outlier."""
    errors = []
    for k, source in enumerate([(4.2, 3.1, 1.5), (1.5, 1.3, 1.6), (2.0, 4.0, 1.2),
                                (4.6, 1.6, 1.5), (3.0, 2.5, 1.7)]):
        found = measure_offset(record(source, late, k), MICS, IS_B, 16000, ROOM)
        errors.append(found - late)
    assert np.sort(np.abs(errors))[-2] < 5e-4
    assert np.median(np.abs(errors)) < 3e-4


def test_too_few_microphones_are_refused():
    """A position and an offset are four unknowns: four TDOAs, of five microphones."""
    with pytest.raises(ValueError, match='five microphones'):
        measure_offset(np.zeros((4, 8000)), MICS[:4], IS_B[1:5], 16000, ROOM)
    with pytest.raises(ValueError, match='five microphones'):
        measure_offset(np.zeros((6, 8000)), MICS, np.zeros(6, bool), 16000, ROOM)


def test_a_line_through_offsets_with_outliers():
    """40 ms and 80 ppm, a third of the offsets being random: found, and extrapolated."""
    rng, line = np.random.default_rng(1), ClockLine()
    assert not line.known and line.offset_at(T0) == 0 and 'not known' in line.report()
    for k in range(60):
        late = 0.04 + 80e-6 * k + 1e-4 * rng.standard_normal()
        if rng.random() < 1 / 3:
            late = rng.uniform(-0.1, 0.1)
        line.add(T0 + k * NS, late)
    assert line.known
    for ahead in (0, 20):
        assert line.offset_at(T0 + (59 + ahead) * NS) == pytest.approx(
            0.04 + 80e-6 * (59 + ahead), abs=3e-4)
    assert 'ppm' in line.report()
    line.forget()
    assert not line.known


def test_random_offsets_give_no_clock():
    """Windows without a talker give offsets that disagree: the clock stays unknown."""
    rng, line = np.random.default_rng(2), ClockLine()
    for k in range(100):
        line.add(T0 + k * NS // 4, rng.uniform(-0.1, 0.1))
        assert not line.known
