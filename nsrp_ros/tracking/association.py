"""
Motion model, Kalman filter, data association and track initiation, all Stone Soup's.

The motion model is a constant, slowly decaying velocity (Ornstein-Uhlenbeck) along x and y; the
state is (x, vx, y, vy). Peaks are gated by their Mahalanobis distance and assigned to tracks by
global nearest neighbour.
"""

from datetime import datetime
from datetime import timedelta

from nsrp_ros.tracking.peaks import Peak
from nsrp_ros.tracking.tracking_config import TrackingConfig
import numpy as np
from stonesoup.dataassociator.neighbour import GNNWith2DAssignment
from stonesoup.deleter.time import UpdateTimeDeleter
from stonesoup.hypothesiser.distance import DistanceHypothesiser
from stonesoup.initiator.simple import MultiMeasurementInitiator
from stonesoup.measures import Mahalanobis
from stonesoup.models.measurement.linear import LinearGaussian
from stonesoup.models.transition.linear import CombinedLinearGaussianTransitionModel
from stonesoup.models.transition.linear import OrnsteinUhlenbeck
from stonesoup.predictor.kalman import KalmanPredictor
from stonesoup.types.detection import Detection
from stonesoup.types.state import GaussianState
from stonesoup.types.track import Track
from stonesoup.types.update import Update
from stonesoup.updater.kalman import KalmanUpdater

POSITION = (0, 2)
"""Indices of x and y in a state (x, vx, y, vy)."""
VELOCITY = (1, 3)
"""Indices of vx and vy."""


class TrackFilter:
    """
    Predicts, associates, updates and initiates tracks by one configuration.

    Parameters
    ----------
    config : TrackingConfig
        Motion, gate and confirmation.
    unconfirmed : set of stonesoup.types.track.Track
        Tracks that are not confirmed yet; kept up to date in place.

    """

    def __init__(self, config: TrackingConfig, unconfirmed: set[Track]) -> None:
        self._config = config
        motion = OrnsteinUhlenbeck(config.agility ** 2, 1 / config.settling)
        self._predictor = KalmanPredictor(CombinedLinearGaussianTransitionModel([motion, motion]))
        self._updater = KalmanUpdater(None)
        self._associator = GNNWith2DAssignment(DistanceHypothesiser(
            self._predictor, self._updater, Mahalanobis(), missed_distance=config.gate))
        # Only the prior's velocity is used: the position comes from the first peak.
        self._initiator = MultiMeasurementInitiator(
            GaussianState([[0.0]] * 4, np.diag([1.0, config.speed ** 2] * 2)),
            UpdateTimeDeleter(timedelta(seconds=config.confirmation_time)),
            self._associator, self._updater, min_points=config.confirmations)
        self._initiator.holding_tracks = unconfirmed

    def detection(self, peak: Peak, time: datetime) -> Detection:
        """Return a peak as a measurement of a position, with its mass as metadata."""
        noise = peak.covariance + self._config.blur ** 2 * np.eye(2)
        return Detection(peak.position[:, None], timestamp=time, metadata={'mass': peak.mass},
                         measurement_model=LinearGaussian(4, POSITION, noise))

    def advance(self, tracks: set[Track], detections: set[Detection],
                time: datetime) -> set[Detection]:
        """Predict tracks to a time and update them; return the detections that none has used."""
        used = set()
        for track, hypothesis in self._associator.associate(tracks, detections, time).items():
            if hypothesis:
                track.append(self._updater.update(hypothesis))
                used.add(hypothesis.measurement)
            else:
                track.append(hypothesis.prediction)
        return detections - used

    def initiate(self, detections: set[Detection], time: datetime) -> set[Track]:
        """Start or continue unconfirmed tracks; return those that are confirmed now."""
        confirmed: set[Track] = self._initiator.initiate(detections, time)
        return confirmed

    def predict(self, track: Track, time: datetime) -> GaussianState:
        """Return the state at a time after the track's last one."""
        return self._predictor.predict(track[-1], timestamp=time)


def seconds_since_detection(track: Track, time: datetime) -> float:
    """Return the seconds from a track's latest update by a detection to a time."""
    latest = next((s for s in reversed(track) if isinstance(s, Update)), track[0])
    return float((time - latest.timestamp).total_seconds())


def drop_history(track: Track) -> None:
    """Delete the states before the latest update: nothing reads them again."""
    kept = next(k for k, state in enumerate(reversed(track), 1) if isinstance(state, Update))
    del track[:-kept]


def position(state: GaussianState | Track) -> np.ndarray:
    """Return the position of a state, or of a track's last one: (2,), metres."""
    return np.asarray(state.state_vector, dtype=np.float64)[list(POSITION), 0]


def velocity(state: GaussianState | Track) -> np.ndarray:
    """Return the velocity of a state, or of a track's last one: (2,), metres a second."""
    return np.asarray(state.state_vector, dtype=np.float64)[list(VELOCITY), 0]


def position_covariance(state: GaussianState) -> np.ndarray:
    """Return the covariance (2, 2) of a state's position, square metres."""
    return np.asarray(state.covar, dtype=np.float64)[np.ix_(POSITION, POSITION)]
