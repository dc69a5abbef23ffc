"""
Windows of several devices, each with its own topic, rate and clock, cut in step.

Every device has a ring of its newest samples and a clock that tells each one's time
(sample_clock.py). A window is the same half second of everybody's time, resampled to one rate and
moved by the fraction of a sample that is left. Nobody is waited for longer than the patience,
which is counted in audio and not on a wall's clock: a bag gives the same windows at any rate of
replay.
"""

from collections.abc import Iterator
import math

from nsrp_ros.audio.sample_clock import Discontinuity
from nsrp_ros.audio.sample_clock import SampleClock
from nsrp_ros.audio.windowing import ARRIVAL_TOLERANCE
from nsrp_ros.audio.windowing import Window
from nsrp_ros.core.resampling import resample
from nsrp_ros.core.stamps import NS
import numpy as np

APART = 2.0
"""Seconds from which on the stamps of two devices are of different times, and not just late."""
MARGIN = 0.05
"""Seconds taken beside a window, so that resampling has what it needs at the edges."""


class DeviceWindows:
    """
    Join the streams of several devices.

    Parameters
    ----------
    config : WindowConfig
        Length, hop and tolerance.
    n_channels : sequence of int
        Channels of each device, in the order of the microphones.
    sample_rate : int
        Of the windows, hertz, whatever the devices' own rates are.
    patience : callable
        Returns how many seconds a device may be behind the others until it is left out.
    stamped : bool
        See WindowBuffer.

    """

    def __init__(self, config, n_channels, sample_rate, patience, stamped=True):
        self.config = config
        self.n_channels = tuple(n_channels)
        self.sample_rate = sample_rate
        self._patience = patience
        self._devices = [_Device(config, stamped) for _ in n_channels]
        self._next_end_ns = None
        self._unheard = np.zeros((len(n_channels), len(n_channels)))  # [d, k]: seconds of k's
        # audio since d's last chunk
        self.offsets = [_never] * len(n_channels)

    @property
    def skews(self):
        """Return by how much each device's seconds are too long by its stamps, ratios."""
        return [d.clock.skew for d in self._devices]

    def follow(self, device, offset):
        """
        Correct a device's stamps from now on.

        Parameters
        ----------
        device : int
            Its number.
        offset : callable
            Takes a time in nanoseconds; returns by how many seconds the stamps are late then.

        """
        self.offsets[device] = offset

    def reset(self, device):
        """Forget a device's run, as after a chunk that could not be decoded."""
        self._devices[device].clock.reset()

    def push(self, device, samples, stamp_ns, sample_rate) -> Iterator[Window | Discontinuity]:
        """
        Take one device's chunk in; iterate over what it completes.

        Parameters
        ----------
        device : int
            Whose chunk this is.
        samples, stamp_ns, sample_rate
            As of `WindowBuffer.push`.

        Yields
        ------
        Window or Discontinuity
            The latter is the device's own; the others' samples stay.

        """
        if len(samples) == 0:
            return
        seam = self._devices[device].push(samples, stamp_ns, sample_rate)
        if seam is not None:
            yield seam
        self._unheard[:, device] += len(samples) / sample_rate
        self._unheard[device] = 0.0
        while (end_ns := self._due()) is not None:
            self._next_end_ns = end_ns + round(self.config.hop * NS)
            window = self._window(end_ns)
            if window is not None:
                yield window

    def _due(self):
        """Return the end of the window that is to be cut now, or None."""
        newest = self._newest()
        if not newest:
            return None
        last_ns = max(newest.values())
        length_ns, patience_ns = (round(s * NS) for s in (self.config.length, self._patience()))
        if self._next_end_ns is None or abs(last_ns - self._next_end_ns) > max(
                APART * NS, 2 * (length_ns + patience_ns)):
            # The first sound, or another time: clocks were set, a bag began again.
            self._next_end_ns = min(newest.values()) + length_ns
        if min(newest.values()) >= self._next_end_ns or (
                last_ns >= self._next_end_ns + patience_ns):
            return self._next_end_ns
        return None

    def _newest(self):
        """Return the corrected time up to which each device that takes part is heard."""
        newest = {k: d.newest_ns() - self._offset_ns(k, d.newest_ns())
                  for k, d in enumerate(self._devices)
                  if d.clock.running and self._unheard[k].max() <= self._patience()}
        if newest:
            # The first device that lives says what time it is.
            now_ns = newest[min(newest)]
            newest = {k: t for k, t in newest.items() if abs(t - now_ns) <= APART * NS}
        return newest

    def _offset_ns(self, device, time_ns):
        return round(self.offsets[device](time_ns) * NS)

    def _window(self, end_ns):
        n_samples = round(self.config.length * self.sample_rate)
        parts, absent, offsets = [], {}, []
        newest = self._newest()
        for k, (device, n_channels) in enumerate(zip(self._devices, self.n_channels)):
            offsets.append(self.offsets[k](end_ns))
            part = None
            if not device.clock.running:
                absent[k] = 'it has not been heard'
            elif k not in newest:
                quiet = self._unheard[k].max()
                absent[k] = (f'no audio for {quiet:.1f} s' if quiet > self._patience() else
                             'its stamps are seconds apart from the others')
            else:
                part = device.cut(end_ns + self._offset_ns(k, end_ns), n_samples,
                                  self.sample_rate)
                if part is None:
                    behind = (end_ns - newest[k]) / NS
                    absent[k] = (f'it is {behind:.2f} s behind' if behind > 0 else
                                 'it has been heard for too short a time since a seam')
                elif len(part) != n_channels:
                    absent[k] = f'it has {len(part)} channels, {n_channels} are expected'
                    part = None
            parts.append(np.zeros((n_channels, n_samples), np.float32) if part is None else part)
        if len(absent) == len(parts):
            return None  # every device is at a seam, as one device alone would be
        return Window(np.concatenate(parts), end_ns, self.sample_rate, absent, tuple(offsets))


class _Device:
    """One device's newest samples and clock."""

    def __init__(self, config, stamped):
        self.clock = SampleClock(config.stamp_tolerance if stamped else ARRIVAL_TOLERANCE,
                                 half_a_chunk=stamped)
        self._seconds = config.length + APART + 2 * MARGIN
        self._ring = np.empty((0, 0), np.float32)
        self._kept = 0  # samples of the run that the ring holds

    def push(self, samples, stamp_ns, sample_rate):
        fresh = not self.clock.running
        seam = self.clock.advance(len(samples), samples.shape[1], stamp_ns, sample_rate)
        size = math.ceil(self._seconds * sample_rate)
        if self._ring.shape != (size, samples.shape[1]):
            self._ring = np.zeros((size, samples.shape[1]), np.float32)
        if fresh or seam is not None:
            self._kept = 0
        newest = samples[-size:]
        at = (self.clock.n_received - len(newest) + np.arange(len(newest))) % size
        self._ring[at] = newest
        self._kept = min(self._kept + len(samples), size)
        return seam

    def newest_ns(self):
        return self.clock.time_ns(self.clock.n_received - 1)

    def cut(self, end_ns, n_samples, sample_rate):
        """Return (M, n_samples) that end at a time of the device's stamps, or None."""
        rate = self.clock.sample_rate
        # Counted from the window's middle, so that a drift of 80 ppm, which stays as it is inside
        # a window, moves its ends by 20 microseconds only: the way of 7 mm of sound.
        half_ns = (n_samples - 1) * NS // (2 * sample_rate)
        first = self.clock.sample_at(end_ns - half_ns) - half_ns * rate / NS
        margin = round(MARGIN * rate)
        whole = math.floor(first)
        start, stop = whole - margin, whole + math.ceil(n_samples * rate / sample_rate) + margin
        oldest, newest = self.clock.n_received - self._kept, self.clock.n_received
        # One sample of grace: a window may end where the newest chunk does.
        if whole < oldest - 1 or first + (n_samples - 1) * rate / sample_rate > newest:
            return None
        at = np.arange(start, stop)
        known = (at >= oldest) & (at < newest)
        block = np.where(known[:, None], self._ring[at % len(self._ring)], 0).T
        block = resample(np.ascontiguousarray(block), rate, sample_rate)
        # What is left to move by: the margin, and the fraction of a sample.
        return _advance(block, (first - start) * sample_rate / rate)[:, :n_samples]


def _advance(signals, by):
    """Move signals (M, T) earlier by a number of samples that need not be whole."""
    whole = math.floor(by)
    signals, by = signals[:, whole:], by - whole
    if by < 1e-3:  # a millimetre's sound at any rate
        return signals
    n_fft = 2 * signals.shape[1]
    frequency = np.fft.rfftfreq(n_fft)
    moved = np.fft.irfft(np.fft.rfft(signals, n_fft) * np.exp(2j * np.pi * frequency * by), n_fft)
    return moved[:, :signals.shape[1]].astype(np.float32)


def _never(_time_ns):
    return 0.0
