"""Two devices of which one is late and drifts are synchronised."""

from nsrp_ros.audio.device_clocks import DeviceClocks
from nsrp_ros.audio.multi_device import DeviceWindows
from nsrp_ros.audio.windowing import Window
from nsrp_ros.core.config import WindowConfig
from nsrp_ros.core.stamps import NS
import numpy as np
import pytest
from support.two_devices import MICS
from support.two_devices import record

T0 = 1_790_000_000 * NS
RATE = 16000
ROOM = (6.0, 5.0, 3.0)


def run(seconds, late, skew, stamps_drift):
    """Play both devices; return the windows, the clocks, and the channels synchronised at each."""
    windows = DeviceWindows(WindowConfig(), (3, 3), RATE, lambda: 0.3)
    clocks = DeviceClocks(windows, 0.1)
    synchronised, cut = [], []
    signals = record(seconds, skew)
    stretch = 1 + skew if stamps_drift else 1.0
    for first in range(0, round(seconds * RATE) - 512, 512):
        for device, factor, offset in ((0, 1.0, 0.0), (1, stretch, late)):
            stamp_ns = T0 + round((first / RATE * factor + offset) * NS)
            for item in windows.push(device, signals[device][first:first + 512], stamp_ns, RATE):
                assert isinstance(item, Window), item
                clocks.update(item, MICS, np.ones(6, bool), ROOM)
                synchronised.append(clocks.synchronised())
                cut.append(item)
    return cut, clocks, np.array(synchronised)


@pytest.mark.parametrize('stamps_drift', [True, False])
def test_40_ms_and_80_ppm_are_found_and_corrected(stamps_drift):
    """Whether stamps have the drift or count samples: 0.3 ms in the median, 0.5 ms at most."""
    late, skew = 0.04, 80e-6
    cut, clocks, synchronised = run(24, late, skew, stamps_drift)
    assert synchronised[:, :3].all() and not synchronised[:5, 3:].any()
    known = int(np.argmax(synchronised[:, 3]))
    assert 0 < known < 40 and synchronised[known:, 3:].all()
    seconds = np.array([(w.stamp_ns - T0) / NS for w in cut])
    # A count that is too long for its samples falls behind.
    true = late - (0 if stamps_drift else skew * seconds)
    errors = np.array([w.offsets[1] for w in cut]) - true
    assert np.abs(errors[known + 2:]).max() < 5e-4
    assert np.median(np.abs(errors[known + 2:])) < 3e-4
    assert 'ms, drift' in clocks.reports()[1]


def test_devices_without_a_common_sound_are_not_synchronised():
    """Independent noise on every channel."""
    windows = DeviceWindows(WindowConfig(), (3, 3), RATE, lambda: 0.3)
    clocks = DeviceClocks(windows, 0.1)
    rng = np.random.default_rng(0)
    for first in range(0, 12 * RATE, 512):
        for device in (0, 1):
            chunk = rng.standard_normal((512, 3)).astype(np.float32)
            for window in windows.push(device, chunk, T0 + first * NS // RATE, RATE):
                clocks.update(window, MICS, np.ones(6, bool), ROOM)
    assert not clocks.synchronised()[3:].any()


def test_a_jump_of_the_reference_discards_all_clocks():
    """The others' offsets were relative to its clock."""
    clocks = DeviceClocks(DeviceWindows(WindowConfig(), (3, 3), RATE, lambda: 0.3), 0.1)
    for k in range(10):
        clocks.lines[1].add(T0 + k * NS, 0.01)
    assert clocks.synchronised().all()
    clocks.forget(0)
    assert not clocks.synchronised()[3:].any()
