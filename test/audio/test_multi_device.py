"""Simultaneous windows of devices with their own rates and clocks; late ones are left out."""

from nsrp_ros.audio.multi_device import DeviceWindows
from nsrp_ros.audio.sample_clock import Discontinuity
from nsrp_ros.audio.windowing import Window
from nsrp_ros.core.config import WindowConfig
from nsrp_ros.core.stamps import NS
import numpy as np
import pytest

T0 = 1_790_000_000 * NS


def sound(seconds):
    """Return a fixed sound at any times (s): a sum of tones below 4 kHz."""
    rng = np.random.default_rng(0)
    tones = rng.uniform(100, 4000, 20)
    phases = rng.uniform(0, 2 * np.pi, 20)
    return np.sin(2 * np.pi * tones * np.asarray(seconds)[..., None] + phases).mean(axis=-1)


class Device:
    """A device that records the sound: its rate, the skew of that, and its stamps' lateness."""

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
    """Interleave the chunks of devices in time; return everything that they complete."""
    out, end_ns = [], max(d.next_ns() for d in devices) + round(seconds * NS)
    while (device := min(devices, key=Device.next_ns)).next_ns() <= end_ns:
        out += device.play(windows)
    return out


def make(*n_channels, patience=0.3):
    """Make the windows of devices."""
    return DeviceWindows(WindowConfig(), n_channels, 16000, lambda: patience)


def expected(window):
    """Return the samples that a window should hold."""
    end = (window.stamp_ns - T0) / NS
    return sound(end - np.arange(8000)[::-1] / 16000)


def test_other_rates_and_drifts_are_resampled():
    """16 and 48 kHz, and 44.1 kHz 80 ppm slow: all channels hold the same sound."""
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
        # Until its drift is estimated the third is a few microseconds late.
        assert error[5, 3900:4100].max() < 0.1
        # 80 ppm drift by 20 microseconds to either end of a window: a small part of a period.
        assert np.corrcoef(window.signals[5], expected(window))[0, 1] > 0.98


def test_known_offsets_are_corrected():
    """A device whose stamps are 40 ms late and drift is shifted to the true time."""
    windows = make(2, 2)
    windows.set_offset(1, lambda time_ns: 0.04 + 80e-6 * (time_ns - T0) / NS)
    device = Device(1, late=0.04)
    device.skew = 0.0
    cut = play(windows, [Device(0), device], 5)
    window = cut[3]
    assert window.offsets[0] == 0 and window.offsets[1] == pytest.approx(0.04, abs=1e-3)
    drifted = 80e-6 * (window.stamp_ns - T0) / NS
    end = (window.stamp_ns - T0) / NS + drifted
    shifted = sound(end - np.arange(8000)[::-1] / 16000)
    np.testing.assert_allclose(window.signals[2, 200:-200], shifted[200:-200], atol=0.02)


@pytest.mark.parametrize('stopped', [0, 1])
def test_a_stopped_device_is_left_out_until_it_resumes(stopped):
    """Windows continue without it, with the reason, and include it again afterwards."""
    windows, devices = make(2, 1), [Device(0), Device(1, 1)]
    play(windows, devices, 2)
    alone = play(windows, [devices[1 - stopped]], 3)
    assert len(alone) >= 11 and all(isinstance(w, Window) for w in alone)
    assert all(stopped in w.absent for w in alone[2:])
    assert 'no audio for' in alone[-1].absent[stopped]
    rows = slice(0, 2) if stopped == 0 else slice(2, 3)
    assert not alone[-1].signals[rows].any()
    devices[stopped].n_played = devices[1 - stopped].n_played
    back = play(windows, devices, 2)
    assert [i.kind for i in back if isinstance(i, Discontinuity)] == ['clock jump']
    assert isinstance(back[-1], Window) and not back[-1].absent


def test_a_device_that_lags_is_left_out():
    """One that is half a second late does not delay the other, and the reason is given."""
    windows, devices = make(2, 1), [Device(0), Device(1, 1)]
    play(windows, devices, 1)
    for _ in range(16):
        devices[0].play(windows)
    out = []
    for _ in range(60):  # from now on both play, the second half a second behind
        out += devices[0].play(windows) + devices[1].play(windows)
    assert len(out) >= 6 and all('behind' in w.absent[1] for w in out)


def test_a_discontinuity_of_one_device_does_not_affect_the_others():
    """The device with the gap is left out until it has a whole window again."""
    windows, devices = make(2, 1), [Device(0), Device(1, 1)]
    play(windows, devices, 2)
    devices[1].n_played += 512
    out = play(windows, devices, 2)
    cut = [w for w in out if isinstance(w, Window)]
    assert [i.kind for i in out if isinstance(i, Discontinuity)] == ['gap']
    missing = [bool(w.absent) for w in cut]
    assert any(missing) and not any(missing[4:]) and len(cut) >= 7


def test_all_clocks_set_back():
    """A bag that starts again: windows resume, at the old times."""
    windows, devices = make(2, 1), [Device(0), Device(1, 1)]
    play(windows, devices, 20)
    for device in devices:
        device.n_played = 0
    again = [w for w in play(windows, devices, 3) if isinstance(w, Window)]
    assert len(again) >= 8 and not again[-1].absent
    assert max(w.stamp_ns for w in again) < T0 + 4 * NS


def test_a_device_of_another_time_base_is_left_out():
    """Stamps of one device that jump by a minute do not stop the windows."""
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
    """A device whose chunks do not match its microphones."""
    windows = make(2, 3)
    out = play(windows, [Device(0), Device(1, 1)], 2)
    assert out and all('1 channels, 3 are expected' in w.absent[1] for w in out)
