"""Devices with rates and clocks of their own are cut in step; who is late is left out."""

from nsrp_ros.audio.multi_device import DeviceWindows
from nsrp_ros.audio.sample_clock import Discontinuity
from nsrp_ros.audio.windowing import Window
from nsrp_ros.core.config import WindowConfig
from nsrp_ros.core.stamps import NS
import numpy as np
import pytest

T0 = 1_790_000_000 * NS


def sound(seconds):
    """Return the same sound at any times (s): a sum of tones below 4 kHz."""
    rng = np.random.default_rng(0)
    tones = rng.uniform(100, 4000, 20)
    phases = rng.uniform(0, 2 * np.pi, 20)
    return np.sin(2 * np.pi * tones * np.asarray(seconds)[..., None] + phases).mean(axis=-1)


class Device:
    """A device that hears the sound: its rate, how wrong that is, and its stamps' lateness."""

    def __init__(self, number, n_channels=2, rate=16000, skew=0.0, late=0.0, chunk=512):
        self.number, self.n_channels, self.rate = number, n_channels, rate
        self.skew, self.late, self.chunk = skew, late, chunk
        self.n_played = 0

    def next_ns(self):
        """Return when the next chunk is complete."""
        return round((self.n_played + self.chunk) * (1 + self.skew) / self.rate * NS)

    def play(self, windows):
        """Push the next chunk; return what it completed."""
        at = (self.n_played + np.arange(self.chunk)) * (1 + self.skew) / self.rate
        samples = np.repeat(sound(at)[:, None], self.n_channels, axis=1).astype(np.float32)
        stamp_ns = T0 + round((at[0] + self.late) * NS)
        self.n_played += self.chunk
        return list(windows.push(self.number, samples, stamp_ns, self.rate))


def play(windows, devices, seconds):
    """Let devices play side by side; return everything that came out."""
    out, end_ns = [], max(d.next_ns() for d in devices) + round(seconds * NS)
    while (device := min(devices, key=Device.next_ns)).next_ns() <= end_ns:
        out += device.play(windows)
    return out


def make(*n_channels, patience=0.3):
    """Make the windows of devices."""
    return DeviceWindows(WindowConfig(), n_channels, 16000, lambda: patience)


def expected(window):
    """Return what a window should hold."""
    end = (window.stamp_ns - T0) / NS
    return sound(end - np.arange(8000)[::-1] / 16000)


def test_other_rates_and_drifts_are_brought_into_step():
    """16 and 48 kHz, and 44.1 kHz 80 ppm slow: all hear the same at one time."""
    windows = make(2, 3, 1)
    devices = [Device(0), Device(1, 3, 48000, chunk=960), Device(2, 1, 44100, 80e-6, chunk=1000)]
    cut = play(windows, devices, 20)
    assert all(isinstance(w, Window) and not w.absent for w in cut)
    assert 76 <= len(cut) <= 80 and np.ptp(np.diff([w.stamp_ns for w in cut])) == 0
    assert windows.skews[2] == pytest.approx(80e-6, abs=2e-6)
    for window in cut[::15]:
        assert window.signals.shape == (6, 8000) and window.sample_rate == 16000
        error = np.abs(window.signals - expected(window))
        assert error[:5, 200:-200].max() < 0.01
        # While its drift is being learnt the third is a few microseconds late.
        assert error[5, 3900:4100].max() < 0.1
        # 80 ppm drift by 20 microseconds to either end of a window: a small part of a period.
        assert np.corrcoef(window.signals[5], expected(window))[0, 1] > 0.98


def test_known_offsets_are_corrected():
    """A device whose stamps are 40 ms late and drift is moved back to where it heard."""
    windows = make(2, 2)
    windows.follow(1, lambda time_ns: 0.04 + 80e-6 * (time_ns - T0) / NS)
    device = Device(1, late=0.04)
    device.skew = 0.0
    cut = play(windows, [Device(0), device], 5)
    window = cut[3]
    assert window.offsets[0] == 0 and window.offsets[1] == pytest.approx(0.04, abs=1e-3)
    drifted = 80e-6 * (window.stamp_ns - T0) / NS
    end = (window.stamp_ns - T0) / NS + drifted
    heard = sound(end - np.arange(8000)[::-1] / 16000)
    np.testing.assert_allclose(window.signals[2, 200:-200], heard[200:-200], atol=0.02)


@pytest.mark.parametrize('dying', [0, 1])
def test_a_dead_device_is_left_out_and_comes_back(dying):
    """Windows go on without it, say why, and hold it again when it plays again."""
    windows, devices = make(2, 1), [Device(0), Device(1, 1)]
    play(windows, devices, 2)
    alone = play(windows, [devices[1 - dying]], 3)
    assert len(alone) >= 11 and all(isinstance(w, Window) for w in alone)
    assert all(dying in w.absent for w in alone[2:])
    assert 'no audio for' in alone[-1].absent[dying]
    rows = slice(0, 2) if dying == 0 else slice(2, 3)
    assert not alone[-1].signals[rows].any()
    devices[dying].n_played = devices[1 - dying].n_played
    back = play(windows, devices, 2)
    assert [i.kind for i in back if isinstance(i, Discontinuity)] == ['clock jump']
    assert isinstance(back[-1], Window) and not back[-1].absent


def test_a_device_that_lags_is_left_out():
    """Who is half a second late does not hold up the other, and is named."""
    windows, devices = make(2, 1), [Device(0), Device(1, 1)]
    play(windows, devices, 1)
    for _ in range(16):
        devices[0].play(windows)
    out = []
    for _ in range(60):  # from now on both play, the second half a second behind
        out += devices[0].play(windows) + devices[1].play(windows)
    assert len(out) >= 6 and all('behind' in w.absent[1] for w in out)


def test_a_seam_of_one_device_spares_the_others():
    """The device with the gap is left out until it has a whole window again."""
    windows, devices = make(2, 1), [Device(0), Device(1, 1)]
    play(windows, devices, 2)
    devices[1].n_played += 512
    out = play(windows, devices, 2)
    cut = [w for w in out if isinstance(w, Window)]
    assert [i.kind for i in out if isinstance(i, Discontinuity)] == ['gap']
    gone = [bool(w.absent) for w in cut]
    assert any(gone) and not any(gone[4:]) and len(cut) >= 7


def test_all_clocks_set_back():
    """A bag that begins again: after a moment there are windows again, at the old times."""
    windows, devices = make(2, 1), [Device(0), Device(1, 1)]
    play(windows, devices, 20)
    for device in devices:
        device.n_played = 0
    again = [w for w in play(windows, devices, 3) if isinstance(w, Window)]
    assert len(again) >= 8 and not again[-1].absent
    assert max(w.stamp_ns for w in again) < T0 + 4 * NS


def test_one_device_in_another_time_is_left_out():
    """Stamps that jump by a minute on one device are not waited for, nor believed."""
    windows, devices = make(2, 1), [Device(0), Device(1, 1)]
    play(windows, devices, 2)
    devices[1].late = 60.0
    out = [w for w in play(windows, devices, 3) if isinstance(w, Window)]
    assert len(out) >= 11 and 'apart' in out[-1].absent[1]
    assert max(w.stamp_ns for w in out) < T0 + 7 * NS
    devices[1].late = 0.0
    out = [w for w in play(windows, devices, 3) if isinstance(w, Window)]
    assert not out[-1].absent


def test_a_wrong_number_of_channels_is_left_out():
    """What does not fit its microphones is not heard."""
    windows = make(2, 3)
    out = play(windows, [Device(0), Device(1, 1)], 2)
    assert out and all('1 channels, 3 are expected' in w.absent[1] for w in out)
