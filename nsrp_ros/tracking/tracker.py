"""
Multi-target tracking of talkers.

Peaks of maps (peaks.py) are the detections; talkers with persistent numbers are the confirmed
tracks:

    prediction -> gating and global nearest neighbour -> Kalman update (association.py)
    -> deletion of stale, duplicate and implausible tracks -> confirmation of new ones

Times are those of the audio, integer nanoseconds; no clock is read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from datetime import timedelta

from nsrp_ros.tracking import association
from nsrp_ros.tracking.peaks import Peak
from nsrp_ros.tracking.tracking_config import TrackingConfig
import numpy as np
from numpy.typing import ArrayLike
from stonesoup.types.track import Track

__all__ = ['Talker', 'TalkerTracker', 'TrackingConfig']

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  the audio's time may have any origin


@dataclass(frozen=True)
class Talker:
    """
    A confirmed track: somebody who talks or has just talked.

    Attributes
    ----------
    number : int
        From 1 on, never reused.
    position, velocity : numpy.ndarray
        Shape (2,), metres and metres a second, at the stamp of the latest map.
    covariance : numpy.ndarray
        Shape (2, 2), square metres, of the position.
    talking : bool
        Whether the talker was detected within the last `voice_time`.
    silent_for : float
        Seconds since the last detection, 0 where the latest map has one.

    """

    number: int
    position: np.ndarray
    velocity: np.ndarray
    covariance: np.ndarray
    talking: bool
    silent_for: float


class TalkerTracker:
    """
    Tracks talkers from map to map.

    Parameters
    ----------
    config : TrackingConfig
        See there.

    """

    def __init__(self, config: TrackingConfig = TrackingConfig()) -> None:
        self._tracks: dict[Track, int] = {}  # confirmed, with their numbers
        self._unconfirmed: set[Track] = set()
        self._last_ns: int | None = None
        self._next_number = 1
        self.configure(config)

    def configure(self, config: TrackingConfig) -> None:
        """
        Change the configuration from the next map on; existing tracks stay.

        Parameters
        ----------
        config : TrackingConfig
            See there.

        """
        self.config = config
        self._filter = association.TrackFilter(config, self._unconfirmed)

    def reset(self) -> None:
        """Delete all tracks; numbers are not reused."""
        self._tracks.clear()
        self._unconfirmed.clear()
        self._last_ns = None

    def update(self, stamp_ns: int, peaks: Sequence[Peak],
               box: ArrayLike | None = None) -> list[Talker]:
        """
        Update the tracks by the peaks of one map.

        Parameters
        ----------
        stamp_ns : int
            The map's stamp: the time of its window's last sample, nanoseconds.
        peaks : list of nsrp_ros.tracking.peaks.Peak
            May be empty.
        box : array_like, optional
            Shape (2, 2), metres: the map's lower and upper corner (x, y). Reported positions are
            clipped to it, and tracks far outside are deleted.

        Returns
        -------
        list of Talker
            By number. A map that is not newer than the one before means that the clock was set
            back: all earlier tracks are deleted.

        """
        if self._last_ns is not None and stamp_ns <= self._last_ns:
            self.reset()
        self._last_ns = stamp_ns
        time = _EPOCH + timedelta(microseconds=stamp_ns // 1000)
        time -= timedelta(seconds=self.config.delay)
        corners = None if box is None else np.asarray(box, dtype=np.float64)
        # Before association, so that a distant peak is not assigned to a stale track.
        self._delete_stale(time)
        detections = {self._filter.detection(peak, time) for peak in peaks}
        unused = self._filter.advance(set(self._tracks), detections, time)
        self._delete_duplicates(time)
        self._delete_implausible(corners)
        confirmed = self._filter.initiate(
            {d for d in unused if d.metadata['mass'] >= self.config.birth_mass}, time)
        for track in sorted(confirmed, key=lambda t: tuple(association.position(t))):
            self._tracks[track] = self._next_number
            self._next_number += 1
        for track in self._tracks:
            association.drop_history(track)
        return [self._talker(track, number, time, corners)
                for track, number in self._tracks.items()]

    def _delete_stale(self, time: datetime) -> None:
        """Delete tracks without a detection for too long."""
        for track in list(self._tracks):
            if association.seconds_since_detection(track, time) > self.config.patience:
                del self._tracks[track]
        for track in list(self._unconfirmed):
            if association.seconds_since_detection(track, time) > self.config.confirmation_time:
                self._unconfirmed.discard(track)

    def _delete_duplicates(self, time: datetime) -> None:
        """Delete silent tracks beside one that was just detected: it is the same talker."""
        detected = [t for t in self._tracks if association.seconds_since_detection(t, time) == 0]
        for track in list(self._tracks):
            silence = association.seconds_since_detection(track, time)
            if silence > self.config.voice_time and any(
                    np.linalg.norm(association.position(track) - association.position(other))
                    < self.config.peaks.separation / 2 for other in detected):
                del self._tracks[track]

    def _delete_implausible(self, corners: np.ndarray | None) -> None:
        """Delete tracks whose position is too uncertain, or behind a wall."""
        for track in list(self._tracks):
            covariance = association.position_covariance(track.state)
            uncertain = np.linalg.eigvalsh(covariance)[-1] > self.config.max_spread ** 2
            position = association.position(track)
            if uncertain or corners is not None and np.abs(
                    position - np.clip(position, *corners)).max() > self.config.way_out:
                del self._tracks[track]

    def _talker(self, track: Track, number: int, time: datetime,
                corners: np.ndarray | None) -> Talker:
        state = self._filter.predict(track, time + timedelta(seconds=self.config.delay))
        silence = association.seconds_since_detection(track, time)
        position = association.position(state)
        if corners is not None:
            position = np.clip(position, *corners)
        return Talker(number, position, association.velocity(state),
                      association.position_covariance(state),
                      silence <= self.config.voice_time, silence)
