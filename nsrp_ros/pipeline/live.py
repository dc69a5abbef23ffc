"""
From chunks of audio to estimates, between the node's subscriptions and its publishers.

    audio callback  -> windows without a seam -> bounded queue
    worker thread   -> once the transforms are there: positions at the audio's time
                    -> Localizer.locate -> publish

A window that cannot be trusted is skipped, with its reason counted; no pose is ever made up. Every
window that is cut is counted, and so is what became of it: located, or skipped for one reason.
"""

import threading
import time

from nsrp_ros.audio.device_clocks import Ensemble
from nsrp_ros.audio.multi_device import DeviceWindows
from nsrp_ros.audio.sample_clock import Discontinuity
from nsrp_ros.audio.windowing import level_db
from nsrp_ros.audio.windowing import WindowBuffer
from nsrp_ros.pipeline.window_queue import Worker
import numpy as np

CLIPPED = 0.999
"""Share of full scale from which on a sample is clipped."""
CLIPPED_SHARE = 0.005
"""Share of a window's samples from which on a channel is said to be clipped."""
FAINT_DB = 40.0
"""A channel this far below the median of the others hears nothing but itself."""


class Skip(Exception):
    """
    A window that must not be located.

    Parameters
    ----------
    reason : str
        A short name to count under.
    sentence : str
        What happened, for people.

    """

    def __init__(self, reason, sentence):
        super().__init__(sentence)
        self.reason = reason


class Pipeline:
    """
    See the module's docstring.

    Parameters
    ----------
    config : callable
        Returns the NodeConfig in force.
    localizer : nsrp_ros.localization.localizer.Localizer
        Used in the worker's thread only.
    microphones : FrameMicrophones, PoseArrayMicrophones or FixedMicrophones
        Where they are.
    room : FixedRoom or MapRoom
        Where they are in.
    status : nsrp_ros.ros.localizer_diagnostics.Status
        Told of everything.
    publish : callable
        Called in the worker's thread with the estimate, its window and the room.Room.

    """

    def __init__(self, config, localizer, microphones, room, status, publish):
        self._config = config
        self._localizer = localizer
        self._microphones = microphones
        self._room = room
        self._status = status
        self._publish = publish
        self._stopping = threading.Event()
        self._gone = frozenset()  # what was missing at the last window, and is not waited for
        self._last_ns = None
        now = config()
        self._topics = now.audio_topics
        self._ensemble = None
        stamped = now.stamps != 'arrival'
        if len(self._topics) == 1:
            self._alone = WindowBuffer(now.window, stamped)
        else:
            self._alone = None
            self._devices = DeviceWindows(
                now.window, now.topic_channels, localizer.config.sample_rate,
                lambda: config().device_timeout, stamped)
            if now.device_clocks == 'separate':
                self._ensemble = Ensemble(self._devices, now.max_clock_offset)
        self._worker = Worker(self._process, now.queue_size, self._ready)

    def hear(self, device, chunk):
        """Take a device's chunk in and queue what it completes; nothing slow happens here."""
        self._status.heard(self._topics[device])
        for item in self._cut(device, chunk):
            if isinstance(item, Discontinuity):
                if item.kind == 'clock jump' and self._ensemble is not None:
                    self._ensemble.forget(device)
                self._status.skip(item.kind, f'{item.kind} of {item.seconds:+.3f} s in '
                                  f'{self._topics[device]}; what was buffered before it is '
                                  'dropped')
                continue
            self._status.cut()
            if self._worker.put((item, time.monotonic())) is not None:
                self._status.skip_window('queue full', 'the localizer is slower than the audio; '
                                         'the oldest window is dropped')

    def fault(self, device, error):
        """Count audio of a device that could not be decoded."""
        self._status.heard(self._topics[device])
        # The samples around a lost chunk do not belong together.
        if self._alone is not None:
            self._alone.reset()
        else:
            self._devices.reset(device)
        self._status.skip(error.reason, str(error) if self._alone is not None else
                          f'{self._topics[device]}: {error}')

    def close(self):
        """Let the window in hand finish, and publish nothing any more."""
        self._stopping.set()
        for _ in self._worker.stop():
            self._skip_stopped()

    def _skip_stopped(self):
        self._status.skip_window('stopped', 'the node stopped before the window was located')

    def _cut(self, device, chunk):
        if self._alone is not None:
            return self._alone.push(chunk.samples, chunk.start_ns, chunk.sample_rate)
        return self._devices.push(device, chunk.samples, chunk.start_ns, chunk.sample_rate)

    def _ready(self, item, waited):
        """Return whether a window's microphones are known, or not worth more waiting."""
        window, _ = item
        if self._stopping.is_set() or waited >= self._config().transform_timeout:
            return True
        try:
            if self._gone and self._last_ns is not None:
                # Known by now for the last window's time: it was late, and has not left.
                self._gone &= self._microphones.positions(
                    self._last_ns, len(window.signals)).late
            late = self._microphones.positions(window.stamp_ns, len(window.signals)).late
        except Exception:  # noqa: B902  whatever it is, locating says it in its place
            return True
        return not late - self._gone

    def _process(self, item):
        """Locate one window and publish, or count why not; runs in the worker's thread."""
        window, arrived = item
        try:
            estimate, room = self._locate(window)
            if self._stopping.is_set():
                self._skip_stopped()
                return
            self._publish(estimate, window, room)
        except Skip as skip:
            self._status.skip_window(skip.reason, str(skip))
            return
        except Exception as error:  # noqa: B902  whatever it is, the next window may be well
            if self._stopping.is_set():
                self._skip_stopped()
            else:
                self._status.skip_window('error', f'{type(error).__name__}: {error}')
            return
        self._status.located(estimate, window.stamp_ns, time.monotonic() - arrived)

    def _locate(self, window):
        config = self._config()
        signals = window.signals
        self._status.devices(
            {self._topics[k]: why for k, why in window.absent.items()},
            {self._topics[k]: clock for k, clock in self._ensemble.reports().items()}
            if self._ensemble is not None else {})
        finite = np.isfinite(signals).all(axis=1)
        if not finite.all():
            raise Skip('NaN', 'NaN or infinity in channels '
                       f'{np.flatnonzero(~finite).tolist()}')
        level = level_db(signals)
        if level.max() < config.silence_threshold_db:
            raise Skip('silence', f'the loudest channel is at {level.max():.0f} dB full scale')
        if self._room.room is None:
            raise Skip('no room', self._room.problem)
        heard = self._sound(signals, level, window)
        positions, missing = self._positions(window, self._room.room)
        usable = np.isfinite(positions).all(axis=1) & heard
        if self._ensemble is not None:
            self._ensemble.listen(window, positions, usable, self._room.room.dims)
            usable &= self._ensemble.believed()
        self._status.microphones(int(usable.sum()), len(usable), missing)
        if usable.sum() < config.min_microphones:
            why = '; '.join(missing.values()) or (
                'channels are dead, or the clocks of their devices not known yet')
            raise Skip('too few microphones', f'{usable.sum()} of {len(usable)} microphones are '
                       f'usable, {config.min_microphones} are needed: {why}')
        try:
            return self._localizer.locate(
                signals[usable], window.sample_rate, positions[usable],
                self._room.room.dims), self._room.room
        except ValueError as error:
            raise Skip('scene', str(error)) from error

    def _positions(self, window, room):
        """Return where the microphones were (M, 3), from the room's corner, and who is missing."""
        try:
            found = self._microphones.positions(window.stamp_ns, len(window.signals))
        except ValueError as error:
            raise Skip('channel count', str(error)) from error
        self._gone, self._last_ns = found.late, window.stamp_ns
        return found.positions - np.asarray(room.origin), found.missing

    def _sound(self, signals, level, window):
        """Return which channels hold sound, and tell of those that do not, or too much."""
        # A channel that is constant to the last bit is a dead microphone, not a quiet one.
        dead = ~np.isfinite(level)
        faint = ~dead & (level < np.median(level[~dead]) - FAINT_DB)
        clipped = (np.abs(signals) >= CLIPPED).mean(axis=1) > CLIPPED_SHARE
        if window.absent:  # a device that is not there is named as such
            counts = self._config().topic_channels
            owner = np.repeat(np.arange(len(counts)), counts)
            named = dead & ~np.isin(owner, list(window.absent))
        else:
            named = dead
        self._status.channels({
            'dead': np.flatnonzero(named).tolist(), 'silent': np.flatnonzero(faint).tolist(),
            'clipped': np.flatnonzero(clipped).tolist()})
        return ~dead & ~faint
