"""
Simultaneous windows of several devices, each with its own topic, rate and clock.

Every device has a ring buffer of its newest samples and a clock that gives the time of each
(sample_clock.py). A window covers the same interval on all devices, resampled to one rate and
shifted by the remaining fraction of a sample. No device is waited for longer than the patience,
which is measured in audio and not by the wall clock: a bag gives the same windows at any replay
rate.
"""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import math

from nsrp_ros.audio.sample_clock import Discontinuity
from nsrp_ros.audio.sample_clock import SampleClock
from nsrp_ros.audio.windowing import ARRIVAL_TOLERANCE
from nsrp_ros.audio.windowing import Window
from nsrp_ros.core.config import WindowConfig
from nsrp_ros.core.resampling import resample
from nsrp_ros.core.stamps import NS
import numpy as np

APART = 2.0
"""Seconds between the stamps of two devices above which they are of different time bases."""
MARGIN = 0.05
"""Seconds on either side of a window that resampling needs at its edges."""


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
        Of the windows, hertz; devices of other rates are resampled.
    patience : callable
        Returns the seconds by which a device may lag the others before it is left out.
    stamped : bool
        See WindowBuffer.

    """

    def __init__(self, config: WindowConfig, n_channels: Sequence[int], sample_rate: int,
                 patience: Callable[[], float], stamped: bool = True) -> None:
        self.config = config
        self.n_channels = tuple(n_channels)
        self.sample_rate = sample_rate
        self._patience = patience
        self._devices = [_Device(config, stamped) for _ in n_channels]
        self._next_end_ns: int | None = None
        # [d, k]: seconds of audio of device k since the last chunk of device d.
        self._lag = np.zeros((len(n_channels), len(n_channels)))
        self._offsets: list[Callable[[int], float]] = [_no_offset] * len(n_channels)

    @property
    def skews(self) -> list[float]:
        """Return by how much each device's sample period is too long by its stamps, ratios."""
        return [d.clock.skew for d in self._devices]

    def set_offset(self, device: int, offset: Callable[[int], float]) -> None:
        """
        Correct a device's stamps from now on.

        Parameters
        ----------
        device : int
            Its number.
        offset : callable
            Takes a time in nanoseconds; returns by how many seconds the stamps are late then.

        """
        self._offsets[device] = offset

    def reset(self, device: int) -> None:
        """End a device's run, as after a chunk that could not be decoded."""
        self._devices[device].clock.reset()

    def push(self, device: int, samples: np.ndarray, stamp_ns: int,
             sample_rate: int) -> Iterator[Window | Discontinuity]:
        """
        Add one device's chunk; iterate over what it completes.

        Parameters
        ----------
        device : int
            The number of the device.
        samples, stamp_ns, sample_rate
            As of `WindowBuffer.push`.

        Yields
        ------
        Window or Discontinuity
            A discontinuity concerns this device only; the others' samples stay.

        """
        if len(samples) == 0:
            return
        discontinuity = self._devices[device].push(samples, stamp_ns, sample_rate)
        if discontinuity is not None:
            yield discontinuity
        self._lag[:, device] += len(samples) / sample_rate
        self._lag[device] = 0.0
        while (end_ns := self._due()) is not None:
            self._next_end_ns = end_ns + round(self.config.hop * NS)
            window = self._window(end_ns)
            if window is not None:
                yield window

    def _due(self) -> int | None:
        """Return the end of the window that is due now, nanoseconds, or None."""
        newest = self._newest()
        if not newest:
            return None
        last_ns = max(newest.values())
        length_ns, patience_ns = (round(s * NS) for s in (self.config.length, self._patience()))
        if self._next_end_ns is None or abs(last_ns - self._next_end_ns) > max(
                APART * NS, 2 * (length_ns + patience_ns)):
            # The first chunk, or another time base: clocks were set, a bag began again.
            self._next_end_ns = min(newest.values()) + length_ns
        if min(newest.values()) >= self._next_end_ns or (
                last_ns >= self._next_end_ns + patience_ns):
            return self._next_end_ns
        return None

    def _newest(self) -> dict[int, int]:
        """Return the corrected time of the newest sample of each device that takes part."""
        newest = {k: d.newest_ns() - self._offset_ns(k, d.newest_ns())
                  for k, d in enumerate(self._devices)
                  if d.clock.running and self._lag[k].max() <= self._patience()}
        if newest:
            # The first device that takes part is the reference.
            now_ns = newest[min(newest)]
            newest = {k: t for k, t in newest.items() if abs(t - now_ns) <= APART * NS}
        return newest

    def _offset_ns(self, device: int, time_ns: int) -> int:
        return round(self._offsets[device](time_ns) * NS)

    def _window(self, end_ns: int) -> Window | None:
        n_samples = round(self.config.length * self.sample_rate)
        parts: list[np.ndarray] = []
        absent: dict[int, str] = {}
        offsets: list[float] = []
        newest = self._newest()
        for k, (device, n_channels) in enumerate(zip(self._devices, self.n_channels)):
            offsets.append(self._offsets[k](end_ns))
            part = None
            if not device.clock.running:
                absent[k] = 'it has sent no audio yet'
            elif k not in newest:
                lag = self._lag[k].max()
                absent[k] = (f'no audio for {lag:.1f} s' if lag > self._patience() else
                             'its stamps are seconds apart from the others')
            else:
                part = device.cut(end_ns + self._offset_ns(k, end_ns), n_samples,
                                  self.sample_rate)
                if part is None:
                    behind = (end_ns - newest[k]) / NS
                    absent[k] = (f'it is {behind:.2f} s behind' if behind > 0 else
                                 'it has sent too little audio since a discontinuity')
                elif len(part) != n_channels:
                    absent[k] = f'it has {len(part)} channels, {n_channels} are expected'
                    part = None
            parts.append(np.zeros((n_channels, n_samples), np.float32) if part is None else part)
        if len(absent) == len(parts):
            return None  # no device has a whole window
        return Window(np.concatenate(parts), end_ns, self.sample_rate, absent, tuple(offsets))


class _Device:
    """One device's newest samples and clock."""

    def __init__(self, config: WindowConfig, stamped: bool) -> None:
        self.clock = SampleClock(config.stamp_tolerance if stamped else ARRIVAL_TOLERANCE,
                                 half_chunk_limit=stamped)
        self._seconds = config.length + APART + 2 * MARGIN
        self._ring = np.empty((0, 0), np.float32)
        self._kept = 0  # samples of the run that the ring holds

    def push(self, samples: np.ndarray, stamp_ns: int,
             sample_rate: int) -> Discontinuity | None:
        fresh = not self.clock.running
        discontinuity = self.clock.advance(len(samples), samples.shape[1], stamp_ns, sample_rate)
        size = math.ceil(self._seconds * sample_rate)
        if self._ring.shape != (size, samples.shape[1]):
            self._ring = np.zeros((size, samples.shape[1]), np.float32)
        if fresh or discontinuity is not None:
            self._kept = 0
        newest = samples[-size:]
        at = (self.clock.n_received - len(newest) + np.arange(len(newest))) % size
        self._ring[at] = newest
        self._kept = min(self._kept + len(samples), size)
        return discontinuity

    def newest_ns(self) -> int:
        return self.clock.time_ns(self.clock.n_received - 1)

    def cut(self, end_ns: int, n_samples: int, sample_rate: int) -> np.ndarray | None:
        """Return the samples (M, n_samples) up to a time of the device's stamps, or None."""
        rate = self.clock.sample_rate
        # Counted from the window's middle: a drift of 80 ppm, which is not corrected inside a
        # window, shifts its ends by 20 microseconds only, or 7 mm of sound.
        half_ns = (n_samples - 1) * NS // (2 * sample_rate)
        first = self.clock.sample_at(end_ns - half_ns) - half_ns * rate / NS
        margin = round(MARGIN * rate)
        whole = math.floor(first)
        start, stop = whole - margin, whole + math.ceil(n_samples * rate / sample_rate) + margin
        oldest, newest = self.clock.n_received - self._kept, self.clock.n_received
        # A tolerance of one sample: a window may end where the newest chunk does.
        if whole < oldest - 1 or first + (n_samples - 1) * rate / sample_rate > newest:
            return None
        at = np.arange(start, stop)
        known = (at >= oldest) & (at < newest)
        block = np.where(known[:, None], self._ring[at % len(self._ring)], 0).T
        block = resample(np.ascontiguousarray(block), rate, sample_rate)
        # The remaining shift: the margin, and the fraction of a sample.
        return _advance(block, (first - start) * sample_rate / rate)[:, :n_samples]


def _advance(signals: np.ndarray, by: float) -> np.ndarray:
    """Shift signals (M, T) earlier by a number of samples that need not be whole."""
    whole = math.floor(by)
    signals, by = signals[:, whole:], by - whole
    if by < 1e-3:  # a millimetre of sound at most
        return signals
    n_fft = 2 * signals.shape[1]
    frequency = np.fft.rfftfreq(n_fft)
    phase = np.exp(2j * np.pi * frequency * by)
    shifted = np.fft.irfft(np.fft.rfft(signals, n_fft) * phase, n_fft)
    return shifted[:, :signals.shape[1]].astype(np.float32)


def _no_offset(_time_ns: int) -> float:
    return 0.0
