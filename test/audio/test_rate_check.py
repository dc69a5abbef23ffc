"""Audio that arrives faster or slower than it claims is reported, and nothing else is."""

from nsrp_ros.audio.message_types import Chunk
from nsrp_ros.audio.rate_check import RateCheck
from nsrp_ros.audio.rate_check import STEPS
from nsrp_ros.audio.sample_formats import AudioError
from nsrp_ros.core.stamps import NS
import numpy as np
import pytest

T0 = 1_790_000_000 * NS
LENGTH = 512 * NS // 16000


def feed(rate_check, times_ns, n_samples=512):
    """Check a chunk at each time; return the error of each, or None."""
    problems = []
    for time_ns in times_ns:
        try:
            rate_check.check(Chunk(np.zeros((n_samples, 2), np.float32), int(time_ns), 16000))
            problems.append(None)
        except AudioError as problem:
            problems.append(problem)
    return problems


@pytest.mark.parametrize('factor', [0.5, 1.5, 2.0, 4.0])
def test_a_wrong_rate_is_reported_until_it_is_right(factor):
    """Half of the bytes are missing, or twice the channels are claimed."""
    rate_check = RateCheck()
    jitter = 0.03 * LENGTH * np.random.default_rng(0).standard_normal(60)
    wrong = T0 + factor * LENGTH * np.arange(60) + jitter
    problems = feed(rate_check, wrong)
    assert problems[:STEPS] == [None] * STEPS
    assert all(problem.reason == 'pace' for problem in problems[STEPS:])
    assert f'after {factor * 0.032:.2f}'[:-1] in str(problems[-1])
    again = feed(rate_check, wrong[-1] + LENGTH * np.arange(1, 60))
    assert again[STEPS:] == [None] * (59 - STEPS)


def test_irregular_audio_is_not_reported():
    """Jitter, lost chunks, pauses, bursts, and a clock that is set back."""
    rng = np.random.default_rng(1)
    regular = T0 + LENGTH * np.arange(400)
    lossy = regular[rng.random(400) > 0.3]
    pauses = regular + 3 * NS * (np.arange(400) // 10)
    bursts = T0 + 8 * LENGTH * (np.arange(400) // 8) + np.arange(400) % 8 * 1000
    queued = np.concatenate([regular[:100], T0 + 100 * LENGTH + np.arange(300) * 10_000])
    back = np.concatenate([regular[:200], regular[:200] - 3600 * NS])
    jittery = regular + 0.1 * LENGTH * rng.standard_normal(400)
    for times in (regular, lossy, pauses, bursts, queued, back, jittery):
        assert feed(RateCheck(), times) == [None] * len(times)
    assert feed(RateCheck(), regular, n_samples=0) == [None] * 400
