"""
Talkers over time: who was heard before, who is new, who has left.

Peaks of maps (peaks.py) come in, talkers with lasting numbers go out. Prediction, gating,
association, update, confirmation and deletion are Stone Soup's:

    constant, slowly decaying velocity (Ornstein-Uhlenbeck) -> Mahalanobis gate -> global nearest
    neighbour -> Kalman update -> talkers that were heard several times get a number

Times are those of the audio, integer nanoseconds; nothing here reads a clock.
"""

from dataclasses import dataclass
from datetime import datetime
from datetime import timedelta

from nsrp_ros.core.config import WindowConfig
from nsrp_ros.tracking.peaks import PeakConfig
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
from stonesoup.types.update import Update
from stonesoup.updater.kalman import KalmanUpdater

_PLANE = (0, 2)  # where x and y stand in a state (x, vx, y, vy)
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  audio may count from anywhere


@dataclass(frozen=True)
class TrackingConfig:
    """How talkers move, and how long they are remembered."""

    agility: float = 0.3
    """Metres a second that a talker's speed changes by in one second, standard deviation."""
    settling: float = 4.0
    """Seconds after which a talker who is not heard is expected to have slowed down to a third:
    he is looked for near where he was, not where he would have walked to."""
    speed: float = 0.4
    """Metres a second, standard deviation, of somebody who begins to talk."""
    blur: float = 0.2
    """Metres by which peaks miss talkers beyond their own spread, standard deviation."""
    gate: float = 3.5
    """Standard deviations within which a peak can be a known talker."""
    confirmations: int = 3
    """Windows that somebody must be heard in to become a talker."""
    confirmation_time: float = 2.0
    """Seconds without being heard after which somebody who is no talker yet is forgotten."""
    patience: float = 8.0
    """Seconds of silence after which a talker is forgotten."""
    max_spread: float = 2.0
    """Metres, standard deviation of the position in its worst direction, from which on it says
    nothing any more: the talker is forgotten."""
    way_out: float = 0.5
    """Metres outside the map at which a talker is forgotten: nobody walks through walls, but who
    stands at one may seem to be behind it."""
    voice_time: float = 0.6
    """Seconds for which somebody who was heard is said to be talking."""
    birth_mass: float = 0.3
    """Share of a map's mass that a peak must have to make a new talker: a smaller one only
    confirms a known one."""
    delay: float = WindowConfig().length / 2
    """Seconds from when a talker was where a map says he is to that map's stamp: half a
    window."""
    peaks: PeakConfig = PeakConfig()

    def __post_init__(self):
        """Refuse what cannot be."""
        for name in ('agility', 'settling', 'speed', 'blur', 'gate', 'confirmation_time',
                     'patience', 'max_spread', 'way_out', 'voice_time'):
            value = getattr(self, name)
            if not (np.isfinite(value) and value > 0):
                raise ValueError(f'{name} must be above 0, got {value}')
        if not 0 <= self.delay < np.inf:
            raise ValueError(f'delay must not be below 0, got {self.delay}')
        if not 0 <= self.birth_mass <= 1:
            raise ValueError(f'birth_mass must be a share, got {self.birth_mass}')
        if self.confirmations < 1:
            raise ValueError(f'confirmations must be 1 or more, got {self.confirmations}')


@dataclass(frozen=True)
class Talker:
    """
    Somebody who talks or has just talked.

    Attributes
    ----------
    number : int
        From 1 on, never used twice.
    position, velocity : numpy.ndarray
        Shape (2,), metres and metres a second, at the stamp of the latest map.
    covariance : numpy.ndarray
        Shape (2, 2), square metres, of the position.
    talking : bool
        Whether the talker was heard within the last `voice_time`.
    silent_for : float
        Seconds since the talker was last heard, 0 where the latest map shows him.

    """

    number: int
    position: np.ndarray
    velocity: np.ndarray
    covariance: np.ndarray
    talking: bool
    silent_for: float


class TalkerTracker:
    """
    Follows talkers from map to map.

    Parameters
    ----------
    config : TrackingConfig
        See there.

    """

    def __init__(self, config=TrackingConfig()):
        self._tracks: dict = {}  # Stone Soup's track: number
        self._last_ns: int | None = None
        self._next_number = 1
        self._candidates: set = set()  # tracks of those who are no talkers yet
        self.configure(config)

    def configure(self, config):
        """
        Track by other rules from the next map on; who is known stays so.

        Parameters
        ----------
        config : TrackingConfig
            See there.

        """
        self.config = config
        motion = OrnsteinUhlenbeck(config.agility ** 2, 1 / config.settling)
        self._predictor = KalmanPredictor(CombinedLinearGaussianTransitionModel([motion, motion]))
        self._updater = KalmanUpdater(None)
        self._associator = GNNWith2DAssignment(DistanceHypothesiser(
            self._predictor, self._updater, Mahalanobis(), missed_distance=config.gate))
        # Of the prior only the velocity counts: positions come from the first peak.
        initiator = MultiMeasurementInitiator(
            GaussianState([[0.0]] * 4, np.diag([1.0, config.speed ** 2] * 2)),
            UpdateTimeDeleter(timedelta(seconds=config.confirmation_time)),
            self._associator, self._updater, min_points=config.confirmations)
        initiator.holding_tracks = self._candidates
        self._initiator = initiator

    def reset(self):
        """Forget everybody; numbers are not used again."""
        self._tracks.clear()
        self._candidates.clear()
        self._last_ns = None

    def update(self, stamp_ns, peaks, box=None):
        """
        Take the peaks of one map in.

        Parameters
        ----------
        stamp_ns : int
            The map's stamp: the time of its window's last sample, nanoseconds.
        peaks : list of nsrp_ros.tracking.peaks.Peak
            Empty where nobody is heard.
        box : array_like, optional
            Shape (2, 2), metres: the map's lower and upper corner (x, y). Nobody is said to be
            outside, and who would be far outside is forgotten.

        Returns
        -------
        list of Talker
            By number. A map that is not newer than the one before means that the clock was set
            back: everybody before is forgotten.

        """
        if self._last_ns is not None and stamp_ns <= self._last_ns:
            self.reset()
        self._last_ns = stamp_ns
        heard_at = _EPOCH + timedelta(microseconds=stamp_ns // 1000)
        heard_at -= timedelta(seconds=self.config.delay)
        self._forget(heard_at)
        detections = {self._detection(peak, heard_at) for peak in peaks}
        taken = set()
        for track, hypothesis in self._associator.associate(
                set(self._tracks), detections, heard_at).items():
            if hypothesis:
                track.append(self._updater.update(hypothesis))
                taken.add(hypothesis.measurement)
            else:
                track.append(hypothesis.prediction)
        self._merge(heard_at)
        self._lose(box)
        born = self._initiator.initiate(
            {d for d in detections - taken if d.metadata['mass'] >= self.config.birth_mass},
            heard_at)
        for track in sorted(born, key=lambda t: tuple(t.state_vector[list(_PLANE), 0])):
            self._tracks[track] = self._next_number
            self._next_number += 1
        for track in self._tracks:
            del track[:-self._kept(track)]
        return [self._talker(track, number, heard_at, box)
                for track, number in self._tracks.items()]

    def _detection(self, peak, heard_at):
        noise = peak.covariance + self.config.blur ** 2 * np.eye(2)
        return Detection(peak.position[:, None], timestamp=heard_at, metadata={'mass': peak.mass},
                         measurement_model=LinearGaussian(4, _PLANE, noise))

    def _forget(self, now):
        """Forget whom nobody has heard for long, before a peak far away can be taken for him."""
        for tracks, patience in ((self._tracks, self.config.patience),
                                 (self._candidates,
                                  self.config.confirmation_time)):
            for track in [t for t in tracks if _silence(t, now) > patience]:
                _drop(tracks, track)

    def _merge(self, now):
        """Forget whoever is silent where somebody else is heard: it was him all the time."""
        heard = [t for t in self._tracks if _silence(t, now) == 0]
        for track in list(self._tracks):
            if _silence(track, now) > self.config.voice_time and any(
                    np.linalg.norm(_place(track) - _place(other))
                    < self.config.peaks.separation / 2 for other in heard):
                del self._tracks[track]

    def _lose(self, box):
        """Forget whoever is expected nowhere in particular, or behind a wall."""
        for track in list(self._tracks):
            vague = np.linalg.eigvalsh(_spread(track.state))[-1] > self.config.max_spread ** 2
            if vague or box is not None and np.abs(
                    _place(track) - np.clip(_place(track), *box)).max() > self.config.way_out:
                del self._tracks[track]

    @staticmethod
    def _kept(track):
        """Count the states back to the latest update: all that is ever looked at again."""
        return next(k for k, state in enumerate(reversed(track), 1) if isinstance(state, Update))

    def _talker(self, track, number, heard_at, box):
        state = self._predictor.predict(
            track[-1], timestamp=heard_at + timedelta(seconds=self.config.delay))
        silence = _silence(track, heard_at)
        vector = np.asarray(state.state_vector, dtype=np.float64)[:, 0]
        position = vector[list(_PLANE)]
        if box is not None:
            position = np.clip(position, *np.asarray(box, dtype=np.float64))
        return Talker(number, position, vector[[1, 3]], _spread(state),
                      silence <= self.config.voice_time, silence)


def _silence(track, now):
    """Return the seconds since a track was last heard."""
    heard = next((s for s in reversed(track) if isinstance(s, Update)), track[0])
    return (now - heard.timestamp).total_seconds()


def _place(track):
    return np.asarray(track.state_vector, dtype=np.float64)[list(_PLANE), 0]


def _spread(state):
    """Return the covariance (2, 2) of a state's position, square metres."""
    return np.asarray(state.covar, dtype=np.float64)[np.ix_(_PLANE, _PLANE)]


def _drop(tracks, track):
    """Take a track out of a set or a dictionary."""
    if isinstance(tracks, dict):
        del tracks[track]
    else:
        tracks.discard(track)
