"""Windows of a stream: exact stamps, and no discontinuity inside."""

from nsrp_ros.audio.sample_clock import Discontinuity
from nsrp_ros.audio.windowing import level_db
from nsrp_ros.audio.windowing import Window
from nsrp_ros.audio.windowing import WindowBuffer
from nsrp_ros.core.config import WindowConfig
import numpy as np
import pytest

NS = 1_000_000_000
RATE = 16000
START = 1_790_000_000 * NS + 123_456_789  # a float64 of nanoseconds could not hold this


def stream(n_samples, n_channels=3):
    """Make samples whose value encodes their index and channel."""
    return (np.arange(n_samples)[:, None] + 0.25 * np.arange(n_channels)).astype(np.float32)


def feed(buffer, samples, start_ns=START, sizes=(320,), first=0, rate=RATE, jitter=None):
    """Push samples in chunks of the given sizes, in turn; return all that they complete."""
    out, at, k = [], 0, 0
    while at < len(samples):
        chunk = samples[at:at + sizes[k % len(sizes)]]
        late = 0 if jitter is None else int(jitter[k % len(jitter)])
        out += buffer.push(chunk, start_ns + (first + at) * NS // rate + late, rate)
        at += len(chunk)
        k += 1
    return out


@pytest.mark.parametrize('sizes', [(320,), (1,), (100, 511, 7), (8000,), (30000,)])
def test_windows_do_not_depend_on_the_sizes_of_chunks(sizes):
    """Every window holds exactly its samples, and the stamp of the last of them."""
    samples = stream(20000 if sizes != (1,) else 9000)
    windows = feed(WindowBuffer(), samples, sizes=sizes)
    assert len(windows) == (len(samples) - 8000) // 4000 + 1
    for k, window in enumerate(windows):
        assert isinstance(window, Window)
        assert window.signals.shape == (3, 8000) and window.signals.dtype == np.float32
        np.testing.assert_array_equal(window.signals.T, samples[4000 * k:4000 * k + 8000])
        last = 4000 * k + 7999
        assert abs(window.stamp_ns - (START + last * NS // RATE)) <= 2


def test_jitter_is_no_gap_and_is_averaged():
    """2 ms of jitter is no discontinuity, and shifts a window's stamp by less."""
    jitter = np.random.default_rng(0).uniform(-2e6, 2e6, 1000)
    jitter[0] = 0
    windows = feed(WindowBuffer(), stream(160000), jitter=jitter)
    assert all(isinstance(w, Window) for w in windows) and len(windows) == 39
    errors = [w.stamp_ns - (START + (4000 * k + 7999) * NS // RATE)
              for k, w in enumerate(windows)]
    assert np.abs(errors).max() < 1e6


def test_drift_is_tracked():
    """A sound card 100 ppm fast is no gap in ten minutes, and stamps stay within 2 ms."""
    buffer = WindowBuffer()
    samples = np.zeros((1600, 2), dtype=np.float32)
    for k in range(6000):
        stamp = START + int(k * 1600 * NS / (RATE * 1.0001))
        for item in buffer.push(samples, stamp, RATE):
            assert isinstance(item, Window)
    true_end = START + int(6000 * 1600 * NS / (RATE * 1.0001))
    assert abs(item.stamp_ns - true_end) < 2e6


@pytest.mark.parametrize('lost, kind', [(320, 'gap'), (160000, 'clock jump'),
                                        (-320, 'overlap'), (-160000, 'clock jump')])
def test_no_window_spans_a_discontinuity(lost, kind):
    """One lost or repeated chunk is detected; windows are wholly before or after it."""
    buffer = WindowBuffer()
    before, after = stream(10000), stream(10000) + 50000
    windows = feed(buffer, before)
    out = feed(buffer, after, first=10000 + lost)
    discontinuity = out[0]
    assert isinstance(discontinuity, Discontinuity)
    assert discontinuity.kind == kind
    assert discontinuity.seconds == pytest.approx(lost / RATE, abs=1e-6)
    assert [type(w) for w in out[1:]] == [Window]
    assert windows[-1].signals.max() < 50000 <= out[1].signals.min()
    assert abs(out[1].stamp_ns - (START + (10000 + lost + 7999) * NS // RATE)) <= 2


def test_a_change_of_format_starts_a_new_run():
    """Another number of channels, or another rate."""
    buffer = WindowBuffer()
    feed(buffer, stream(7000))
    out = feed(buffer, stream(8000, n_channels=4), first=7000)
    assert [i.kind for i in out if isinstance(i, Discontinuity)] == ['format change']
    assert out[1].signals.shape == (4, 8000)
    out = feed(buffer, stream(24000, n_channels=4), first=15000, rate=48000)
    assert out[0].kind == 'format change' and out[1].signals.shape == (4, 24000)


def test_reset_ends_the_run_without_a_discontinuity():
    """After a chunk that could not be decoded, the next one starts a new run."""
    buffer = WindowBuffer()
    feed(buffer, stream(7900))
    buffer.reset()
    assert feed(buffer, stream(7999), first=9000) == []
    assert len(feed(buffer, stream(1), first=9000 + 7999)) == 1


def test_a_wrong_rate_is_detected():
    """Samples that arrive slower than the stated rate make gaps."""
    buffer, kinds = WindowBuffer(), []
    for k in range(200):  # 44.1 kHz audio that claims 48 kHz
        for item in buffer.push(np.zeros((1024, 2), np.float32), START + k * 1024 * NS // 44100,
                                48000):
            kinds.append(getattr(item, 'kind', 'window'))
    assert 'gap' in kinds


def test_empty_chunks_are_ignored():
    """A message without samples changes nothing."""
    assert feed(WindowBuffer(), np.zeros((0, 2), np.float32)) == []
    assert list(WindowBuffer().push(np.zeros((0, 2), np.float32), 0, RATE)) == []


def test_other_lengths():
    """Length and hop are seconds at any rate."""
    buffer = WindowBuffer(WindowConfig(length=0.2, hop=0.1))
    windows = feed(buffer, stream(44100), rate=44100)
    assert [w.signals.shape for w in windows] == [(3, 8820)] * 9
    with pytest.raises(ValueError, match='hop'):
        WindowConfig(length=0.2, hop=0.3)


def test_level():
    """A full-scale sine has -3 dB; a constant offset does not count."""
    sine = np.sin(np.arange(16000) * 0.1)
    level = level_db(np.stack([sine, np.full(16000, 0.5), 0.001 * sine + 0.3]))
    assert level[0] == pytest.approx(-3.01, abs=0.05)
    assert level[1] == -np.inf
    assert level[2] == pytest.approx(-63.01, abs=0.05)
