"""
From chunks of audio to estimates, between a node's subscriptions and its publishers.

    audio callback -> contiguous windows -> bounded queue
    queue's thread -> once the transforms have arrived: positions at the audio's time
                   -> screening -> Localizer.locate -> publish

A window that cannot be trusted is skipped, and its reason is counted; no pose is ever invented.
Every window that is cut is counted, and so is its outcome: located, or skipped for one reason.
"""

from collections.abc import Callable
from collections.abc import Iterator
import threading
import time

from nsrp_ros.audio.device_clocks import DeviceClocks
from nsrp_ros.audio.message_types import Chunk
from nsrp_ros.audio.multi_device import DeviceWindows
from nsrp_ros.audio.sample_clock import Discontinuity
from nsrp_ros.audio.sample_formats import AudioError
from nsrp_ros.audio.windowing import Window
from nsrp_ros.audio.windowing import WindowBuffer
from nsrp_ros.core.estimate import Estimate
from nsrp_ros.core.skip_reasons import SkipReason
from nsrp_ros.localization.localizer import Localizer
from nsrp_ros.pipeline.interfaces import Microphones
from nsrp_ros.pipeline.interfaces import PipelineDiagnostics
from nsrp_ros.pipeline.interfaces import PipelineSettings
from nsrp_ros.pipeline.interfaces import RoomSource
from nsrp_ros.pipeline.screening import Channels
from nsrp_ros.pipeline.screening import check_channels
from nsrp_ros.pipeline.screening import locate
from nsrp_ros.pipeline.screening import make_scene
from nsrp_ros.pipeline.screening import MicrophonePositions
from nsrp_ros.pipeline.screening import usable_microphones
from nsrp_ros.pipeline.screening import WindowSkipped
from nsrp_ros.pipeline.settings import Room
from nsrp_ros.pipeline.window_queue import WindowQueue
import numpy as np


class Pipeline:
    """
    See the module's docstring.

    Parameters
    ----------
    config : callable
        Returns the settings in force.
    localizer : Localizer
        Called in the queue's thread only.
    microphones : Microphones
        Gives their positions.
    room : RoomSource
        Gives the room.
    diagnostics : PipelineDiagnostics
        Counts what happens.
    publish : callable
        Called in the queue's thread with the estimate, its window and the Room.

    """

    def __init__(self, config: Callable[[], PipelineSettings], localizer: Localizer,
                 microphones: Microphones, room: RoomSource, diagnostics: PipelineDiagnostics,
                 publish: Callable[[Estimate, Window, Room], None]) -> None:
        self._config = config
        self._localizer = localizer
        self._microphones = microphones
        self._room = room
        self._diagnostics = diagnostics
        self._publish = publish
        self._stopping = threading.Event()
        # Microphones that were missing at the last window, and are not waited for.
        self._missing: frozenset[str] = frozenset()
        self._last_ns: int | None = None
        now = config()
        self._topics = now.audio_topics
        self._device_clocks: DeviceClocks | None = None
        stamped = now.stamps != 'arrival'
        self._buffer: WindowBuffer | None = None
        self._devices: DeviceWindows | None = None
        if len(self._topics) == 1:
            self._buffer = WindowBuffer(now.window, stamped)
        else:
            self._devices = DeviceWindows(
                now.window, now.topic_channels, localizer.config.sample_rate,
                lambda: config().device_timeout, stamped)
            if now.device_clocks == 'separate':
                self._device_clocks = DeviceClocks(self._devices, now.max_clock_offset)
        self._queue = WindowQueue(self._process, now.queue_size, self._ready)

    def push(self, device: int, chunk: Chunk) -> None:
        """Add a device's chunk and queue the windows that it completes; returns at once."""
        self._diagnostics.received(self._topics[device])
        for item in self._cut(device, chunk):
            if isinstance(item, Discontinuity):
                if item.kind == SkipReason.CLOCK_JUMP and self._device_clocks is not None:
                    self._device_clocks.forget(device)
                self._diagnostics.skip(item.kind, f'{item.kind} of {item.seconds:+.3f} s in '
                                       f'{self._topics[device]}; what was buffered before it is '
                                       'dropped')
                continue
            self._diagnostics.cut()
            if self._queue.put((item, time.monotonic())) is not None:
                self._diagnostics.skip_window(
                    SkipReason.QUEUE_FULL, 'the localizer is slower than the audio; the oldest '
                    'window is dropped')

    def fault(self, device: int, error: AudioError) -> None:
        """Count audio of a device that could not be decoded."""
        self._diagnostics.received(self._topics[device])
        # The samples before and after a lost chunk are not contiguous.
        if self._buffer is not None:
            self._buffer.reset()
        elif self._devices is not None:
            self._devices.reset(device)
        self._diagnostics.skip(error.reason, str(error) if self._buffer is not None else
                               f'{self._topics[device]}: {error}')

    def close(self) -> None:
        """Let the current window finish, and publish nothing more."""
        self._stopping.set()
        for _ in self._queue.stop():
            self._skip_stopped()

    def _skip_stopped(self) -> None:
        self._diagnostics.skip_window(
            SkipReason.STOPPED, 'the node stopped before the window was located')

    def _cut(self, device: int, chunk: Chunk) -> Iterator[Window | Discontinuity]:
        if self._devices is not None:
            return self._devices.push(device, chunk.samples, chunk.start_ns, chunk.sample_rate)
        assert self._buffer is not None
        return self._buffer.push(chunk.samples, chunk.start_ns, chunk.sample_rate)

    def _ready(self, item: tuple[Window, float], waited: float) -> bool:
        """Return whether a window's microphones are known, or no longer worth waiting for."""
        window, _ = item
        if self._stopping.is_set() or waited >= self._config().transform_timeout:
            return True
        try:
            if self._missing and self._last_ns is not None:
                # One that is known by now for the last window's time is only late.
                self._missing &= self._microphones.positions(
                    self._last_ns, len(window.signals)).late
            late = self._microphones.positions(window.stamp_ns, len(window.signals)).late
        except Exception:  # noqa: B902  `_locate` meets the same error, and reports it
            return True
        return not late - self._missing

    def _process(self, item: tuple[Window, float]) -> None:
        """Locate one window and publish, or count why not; runs in the queue's thread."""
        window, arrived = item
        try:
            estimate, room = self._locate(window)
            if self._stopping.is_set():
                self._skip_stopped()
                return
            self._publish(estimate, window, room)
        except WindowSkipped as skipped:
            self._diagnostics.skip_window(skipped.reason, str(skipped))
            return
        except Exception as error:  # noqa: B902  the next window may be all right
            if self._stopping.is_set():
                self._skip_stopped()
            else:
                self._diagnostics.skip_window(SkipReason.ERROR, f'{type(error).__name__}: {error}')
            return
        self._diagnostics.located(estimate, window.stamp_ns, time.monotonic() - arrived)

    def _locate(self, window: Window) -> tuple[Estimate, Room]:
        config, room = self._config(), self._room.room
        clocks = self._device_clocks
        self._diagnostics.devices(
            {self._topics[k]: why for k, why in window.absent.items()},
            {self._topics[k]: clock for k, clock in clocks.reports().items()}
            if clocks is not None else {})
        channels = check_channels(window.signals, config.silence_threshold_db)
        if room is None:
            raise WindowSkipped(SkipReason.NO_ROOM, self._room.problem)
        self._report(channels, window)
        found = self._positions(window)
        usable = usable_microphones(channels, found)
        if clocks is not None:
            clocks.update(window, found.positions - np.asarray(room.origin), usable, room.dims)
            usable &= clocks.synchronised()
        self._diagnostics.microphones(int(usable.sum()), len(usable), found.missing)
        scene = make_scene(window, usable, found, room, config.min_microphones)
        return locate(self._localizer, scene), room

    def _positions(self, window: Window) -> MicrophonePositions:
        try:
            found = self._microphones.positions(window.stamp_ns, len(window.signals))
        except ValueError as error:
            raise WindowSkipped(SkipReason.CHANNEL_COUNT, str(error)) from error
        self._missing, self._last_ns = found.late, window.stamp_ns
        return found

    def _report(self, channels: Channels, window: Window) -> None:
        """Report channels that hold no sound, or are clipped."""
        dead = channels.dead
        if window.absent:  # absent devices are reported as such
            counts = self._config().topic_channels
            owner = np.repeat(np.arange(len(counts)), counts)
            dead = dead & ~np.isin(owner, list(window.absent))
        self._diagnostics.channels({
            'dead': np.flatnonzero(dead).tolist(),
            'silent': np.flatnonzero(channels.faint).tolist(),
            'clipped': np.flatnonzero(channels.clipped).tolist()})
