"""Which of several devices can be heard together, and the learning of the others' clocks."""

from nsrp_ros.audio.clock_offset import ClockLine
from nsrp_ros.audio.clock_offset import measure_offset
from nsrp_ros.core.stamps import NS
import numpy as np

WHILE_UNKNOWN, ONCE_KNOWN = 0.5, 2.0
"""Seconds of audio between two measurements of a device's clock."""


class Ensemble:
    """
    Several devices whose stamps cannot be trusted to a tenth of a millisecond.

    The first device is the reference, with whatever others are known; each of the rest is
    measured against those, and heard once its clock is known. A device needs company: five
    microphones together take part in a measurement.

    Parameters
    ----------
    windows : streams.DeviceWindows
        Told to correct the stamps as the clocks become known.
    largest : float
        Seconds that stamps may be off.

    """

    def __init__(self, windows, largest):
        self._largest = largest
        self._windows = windows
        self._owner = np.repeat(np.arange(len(windows.n_channels)), windows.n_channels)
        self.lines = {k: ClockLine() for k in range(1, len(windows.n_channels))}
        self._measured_ns = {}
        for device, line in self.lines.items():
            windows.follow(device, line.at)

    def believed(self):
        """Return which channels, shape (M,) bool, belong to devices whose clocks are known."""
        known = {0} | {k for k, line in self.lines.items() if line.known}
        return np.isin(self._owner, list(known))

    def forget(self, device):
        """Begin anew with a device, whose clock has jumped; with all where it is the first."""
        for k, line in self.lines.items():
            if device in (0, k):
                line.forget()

    def listen(self, window, mic_positions, usable, room_dims):
        """
        Learn from a window in which somebody talks: one device at a time, the most due first.

        Parameters
        ----------
        window : window.Window
            As the device windows cut it.
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
            company = usable & self.believed() & ~mine
            together = company | usable & mine
            enough = company.any() and (usable & mine).any() and together.sum() >= 5
            if enough and since >= (ONCE_KNOWN if line.known else WHILE_UNKNOWN):
                due.append((since, device, together))
        if not due:
            return
        _, device, taking_part = max(due, key=lambda d: d[0])
        late = measure_offset(
            window.signals[taking_part], mic_positions[taking_part],
            self._owner[taking_part] == device, window.sample_rate, room_dims, self._largest)
        self._measured_ns[device] = window.stamp_ns
        self.lines[device].add(window.stamp_ns, window.offsets[device] + late)

    def reports(self):
        """Return what is known of each device's clock: number to words."""
        return {k: line.report() for k, line in self.lines.items()}
