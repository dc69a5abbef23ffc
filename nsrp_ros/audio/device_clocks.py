"""Synchronisation of several devices: their clocks, and which channels are synchronised."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nsrp_ros.audio.clock_offset import ClockLine
from nsrp_ros.audio.clock_offset import measure_offset
from nsrp_ros.core.stamps import NS
import numpy as np

if TYPE_CHECKING:
    from nsrp_ros.audio.multi_device import DeviceWindows
    from nsrp_ros.audio.windowing import Window

PERIOD_UNKNOWN, PERIOD_KNOWN = 0.5, 2.0
"""Seconds of audio between two measurements of a clock, before and after it is known."""


class DeviceClocks:
    """
    The clocks of several devices whose stamps are not accurate to a tenth of a millisecond.

    The first device is the reference, together with all others whose clocks are known; the clocks
    of the rest are measured against these. A measurement takes five microphones or more on both
    sides together.

    Parameters
    ----------
    windows : multi_device.DeviceWindows
        Corrects its stamps by these clocks from now on.
    largest : float
        Seconds, the largest offset of a clock.

    """

    def __init__(self, windows: 'DeviceWindows', largest: float) -> None:
        self._largest = largest
        self._owner = np.repeat(np.arange(len(windows.n_channels)), windows.n_channels)
        self.lines = {k: ClockLine() for k in range(1, len(windows.n_channels))}
        self._measured_ns: dict[int, int] = {}
        for device, line in self.lines.items():
            windows.set_offset(device, line.offset_at)

    def synchronised(self) -> np.ndarray:
        """Return which channels, shape (M,) bool, belong to devices whose clocks are known."""
        known = {0} | {k for k, line in self.lines.items() if line.known}
        return np.isin(self._owner, list(known))

    def forget(self, device: int) -> None:
        """Discard the clock of a device after a jump; all of them if it is the reference."""
        for k, line in self.lines.items():
            if device in (0, k):
                line.forget()

    def update(self, window: 'Window', mic_positions: np.ndarray, usable: np.ndarray,
               room_dims: Sequence[float] | np.ndarray) -> None:
        """
        Measure one clock, the one most overdue, on a window in which somebody talks.

        Parameters
        ----------
        window : windowing.Window
            Of all devices.
        mic_positions : numpy.ndarray
            Shape (M, 3), metres.
        usable : numpy.ndarray
            Shape (M,), bool: which channels hold sound and have a position.
        room_dims : array_like
            Shape (3,), metres.

        """
        due = []
        for device, line in self.lines.items():
            since = abs(window.stamp_ns - self._measured_ns.get(device, -(10 ** 12))) / NS
            mine = self._owner == device
            references = usable & self.synchronised() & ~mine
            together = references | usable & mine
            enough = references.any() and (usable & mine).any() and together.sum() >= 5
            if enough and since >= (PERIOD_KNOWN if line.known else PERIOD_UNKNOWN):
                due.append((since, device, together))
        if not due:
            return
        _, device, taking_part = max(due, key=lambda d: d[0])
        late = measure_offset(
            window.signals[taking_part], mic_positions[taking_part],
            self._owner[taking_part] == device, window.sample_rate, room_dims, self._largest)
        self._measured_ns[device] = window.stamp_ns
        self.lines[device].add(window.stamp_ns, window.offsets[device] + late)

    def reports(self) -> dict[int, str]:
        """Return a description of each device's clock by the device's number, for diagnostics."""
        return {k: line.report() for k, line in self.lines.items()}
