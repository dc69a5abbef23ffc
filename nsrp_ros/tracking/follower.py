"""
Goal poses for a robot that follows a talker.

A goal is on the line from the talker to the robot, at a distance, facing the talker. It is updated
only once the talker has moved (hysteresis) and at a limited rate, so that a planner is not
restarted by the jitter of estimates.
"""

from collections.abc import Sequence
from dataclasses import dataclass
import math
from typing import TYPE_CHECKING

from nsrp_ros.core.stamps import NS
import numpy as np
from numpy.typing import ArrayLike

if TYPE_CHECKING:
    from nsrp_ros.tracking.tracker import Talker


@dataclass(frozen=True)
class FollowConfig:
    """Which talker is followed, and when there is a new goal."""

    distance: float = 1.2
    """Metres to keep from the talker."""
    hysteresis: float = 0.5
    """Metres that the talker must have moved before there is a new goal."""
    interval: float = 1.0
    """Shortest time between two goals, seconds of audio."""
    loyalty: float = 3.0
    """Seconds of silence after which another talker is followed instead."""
    max_spread: float = 0.7
    """Metres, standard deviation, above which a talker's position is too uncertain for a goal."""

    def __post_init__(self) -> None:
        """Refuse invalid values."""
        for name in ('distance', 'max_spread'):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise ValueError(f'{name} must be above 0, got {getattr(self, name)}')
        for name in ('hysteresis', 'interval', 'loyalty'):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise ValueError(f'{name} must not be below 0, got {getattr(self, name)}')


@dataclass(frozen=True)
class Target:
    """
    A goal pose.

    Attributes
    ----------
    position : numpy.ndarray
        Shape (2,), metres.
    yaw : float
        Radians, towards the talker.
    number : int
        The talker's number.

    """

    position: np.ndarray
    yaw: float
    number: int


def stand_off(robot: ArrayLike, talker: ArrayLike, distance: float) -> tuple[np.ndarray, float]:
    """
    Compute the pose that faces a talker from a distance.

    Parameters
    ----------
    robot, talker : array_like
        Shapes (2,), metres.
    distance : float
        Metres to keep.

    Returns
    -------
    tuple of numpy.ndarray and float
        The position (2,), metres, and the yaw towards the talker, radians. A robot nearer than
        the distance keeps its position; one at the talker's very position gets a yaw of 0.

    """
    robot, talker = np.asarray(robot, dtype=np.float64), np.asarray(talker, dtype=np.float64)
    to_talker = talker - robot
    length = float(np.hypot(*to_talker))
    yaw = math.atan2(to_talker[1], to_talker[0])
    if length <= distance:
        return robot, yaw
    return talker - to_talker * (distance / length), yaw


class Follower:
    """
    Chooses the talker to follow, and when there is a new goal.

    Parameters
    ----------
    config : FollowConfig
        See there.

    """

    def __init__(self, config: FollowConfig = FollowConfig()) -> None:
        self.config = config
        self._number: int | None = None  # of the talker that is followed
        self._detected_ns = 0  # when he was last chosen
        # Number and position of the talker, and stamp, of the last goal.
        self._last: tuple[int, np.ndarray, int] | None = None

    def configure(self, config: FollowConfig) -> None:
        """
        Change the configuration from now on.

        Parameters
        ----------
        config : FollowConfig
            See there; another distance gives a new goal although nobody has moved.

        """
        if config.distance != self.config.distance:
            self._last = None
        self.config = config

    def choose(self, stamp_ns: int, talkers: Sequence['Talker']) -> 'Talker | None':
        """
        Choose the talker to follow.

        Parameters
        ----------
        stamp_ns : int
            Of the tracker's output, nanoseconds.
        talkers : list of nsrp_ros.tracking.tracker.Talker
            All talkers that are tracked.

        Returns
        -------
        Talker or None
            One who is talking and whose position is known well enough; None if there is none.

        """
        if self._last is not None and stamp_ns < self._last[2]:
            self._number = self._last = None  # the clock was set back
        candidates = {
            t.number: t for t in talkers if t.talking
            and math.sqrt(np.linalg.eigvalsh(t.covariance)[-1]) <= self.config.max_spread}
        if self._number is None or self._number not in candidates:
            waiting = (self._number is not None
                       and stamp_ns - self._detected_ns <= self.config.loyalty * NS)
            if not candidates or waiting:
                return None
            self._number = min(candidates)  # tracked for the longest time
        self._detected_ns = stamp_ns
        return candidates[self._number]

    def target(self, stamp_ns: int, talker: 'Talker', robot: ArrayLike) -> Target | None:
        """
        Return a new goal, or None while the last one remains valid.

        Parameters
        ----------
        stamp_ns : int
            As for `choose`.
        talker : nsrp_ros.tracking.tracker.Talker
            The talker that `choose` returned.
        robot : array_like
            Shape (2,), metres: the robot's position.

        Returns
        -------
        Target or None
            See there.

        """
        if self._last is not None:
            number, position, last_ns = self._last
            if stamp_ns - last_ns < self.config.interval * NS:
                return None
            moved = np.linalg.norm(talker.position - position)
            if number == talker.number and moved < self.config.hysteresis:
                return None
        self._last = (talker.number, talker.position, stamp_ns)
        position, yaw = stand_off(robot, talker.position, self.config.distance)
        return Target(position, yaw, talker.number)
