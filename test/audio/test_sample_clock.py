"""The time of every sample: jitter is averaged out, drift is tracked, gaps are detected."""

from nsrp_ros.audio.sample_clock import SampleClock
from nsrp_ros.core.stamps import NS
import numpy as np
import pytest

RATE = 16000
START = 1_790_000_000 * NS


def run(clock, seconds, skew=0.0, jitter=0.0, chunk=512, seed=0):
    """Count a stream whose card is slow by `skew`; return the true time of the last sample."""
    rng = np.random.default_rng(seed)
    n_chunks = round(seconds * RATE / chunk)
    for k in range(n_chunks):
        true = k * chunk * (1 + skew) / RATE
        late = jitter * rng.standard_normal() if k else 0.0
        assert clock.advance(chunk, 2, START + round((true + late) * NS), RATE) is None
    return START + round((n_chunks * chunk - 1) * (1 + skew) / RATE * NS)


@pytest.mark.parametrize('skew', [80e-6, -150e-6])
def test_drift_is_estimated_from_stamps_that_jitter(skew):
    """After a minute of stamps with 2 ms of jitter: within 0.3 ms, and 15 ppm of the rate."""
    clock = SampleClock(tolerance=0.02)
    true_ns = run(clock, 60, skew, jitter=2e-3)
    assert abs(clock.time_ns(clock.n_received - 1) - true_ns) < 3e5
    assert clock.skew == pytest.approx(skew, abs=15e-6)


def test_a_day_stays_exact():
    """Hours of exact stamps: an error of a microsecond at most, and no drift."""
    clock = SampleClock(tolerance=0.02)
    true_ns = run(clock, 8 * 3600, chunk=16000)
    assert abs(clock.time_ns(clock.n_received - 1) - true_ns) < 1000
    assert abs(clock.skew) < 1e-9


def test_times_and_samples_are_inverse():
    """Whatever the drift, a sample's time falls on that sample."""
    clock = SampleClock(tolerance=0.02)
    run(clock, 30, skew=80e-6, jitter=1e-3)
    for sample in (0, 1000, clock.n_received - 1):
        assert clock.sample_at(clock.time_ns(sample)) == pytest.approx(sample, abs=1e-3)


@pytest.mark.parametrize('error, kind', [(0.032, 'gap'), (-0.032, 'overlap'), (3.0, 'clock jump'),
                                         (-3.0, 'clock jump')])
def test_discontinuities(error, kind):
    """A chunk that does not continue the run begins another, at its own stamp."""
    clock = SampleClock(tolerance=0.02)
    run(clock, 2)
    stamp_ns = clock.time_ns(clock.n_received) + round(error * NS)
    discontinuity = clock.advance(512, 2, stamp_ns, RATE)
    assert discontinuity.kind == kind
    assert discontinuity.seconds == pytest.approx(error, abs=1e-6)
    assert clock.n_received == 512 and clock.time_ns(0) == stamp_ns


def test_times_of_arrival_may_jitter_by_more_than_a_chunk():
    """100 ms of lateness is no gap where stamps are times of arrival."""
    clock = SampleClock(tolerance=0.25, half_chunk_limit=False)
    for k in range(100):
        late = NS // 10 if k % 17 == 5 else 0
        assert clock.advance(512, 2, START + k * 32_000_000 + late, RATE) is None
    assert clock.advance(512, 2, START + 100 * 32_000_000 + NS, RATE).kind == 'gap'
