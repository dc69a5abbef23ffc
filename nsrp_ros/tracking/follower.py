"""
Where a robot should stand to attend to a talker, and when it is worth telling it.

A target is on the line from the talker to the robot, at a distance, facing the talker. It is given
again only once the talker has moved, and not too often, so that a planner is not kept busy by
a metre's wobble.
"""

from dataclasses import dataclass
import math

from nsrp_ros.core.stamps import NS
import numpy as np


@dataclass(frozen=True)
class FollowConfig:
    """How a talker is followed."""

    distance: float = 1.2
    """Metres that are kept from the talker."""
    hysteresis: float = 0.5
    """Metres that a talker must have moved before there is a new target."""
    interval: float = 1.0
    """Seconds of audio between two targets, at least."""
    loyalty: float = 3.0
    """Seconds of silence after which another talker is followed instead."""
    max_spread: float = 0.7
    """Metres, standard deviation, beyond which a talker's place is too vague to go there."""

    def __post_init__(self):
        """Refuse what cannot be."""
        for name in ('distance', 'max_spread'):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise ValueError(f'{name} must be above 0, got {getattr(self, name)}')
        for name in ('hysteresis', 'interval', 'loyalty'):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise ValueError(f'{name} must not be below 0, got {getattr(self, name)}')


@dataclass(frozen=True)
class Target:
    """
    Where to stand.

    Attributes
    ----------
    position : numpy.ndarray
        Shape (2,), metres.
    yaw : float
        Radians, towards the talker.
    number : int
        The talker's.

    """

    position: np.ndarray
    yaw: float
    number: int


def stand_off(robot, talker, distance):
    """
    Find the place to attend to a talker from.

    Parameters
    ----------
    robot, talker : array_like
        Shapes (2,), metres.
    distance : float
        Metres to keep.

    Returns
    -------
    tuple of numpy.ndarray and float
        The place (2,), metres, and the direction to the talker, radians. A robot that is nearer
        than the distance stays where it is, and one that stands on the talker's place has no
        reason to turn.

    """
    robot, talker = np.asarray(robot, dtype=np.float64), np.asarray(talker, dtype=np.float64)
    way = talker - robot
    far = float(np.hypot(*way))
    yaw = math.atan2(way[1], way[0])
    if far <= distance:
        return robot, yaw
    return talker - way * (distance / far), yaw


class Follower:
    """
    Chooses whom to follow, and when to give a new target.

    Parameters
    ----------
    config : FollowConfig
        See there.

    """

    def __init__(self, config=FollowConfig()):
        self.config = config
        self._number: int | None = None  # whom it follows
        self._heard_ns = 0  # when he was last heard
        self._last: tuple | None = None  # (number, talker's place, stamp) of the last target

    def configure(self, config):
        """
        Follow by other rules from now on.

        Parameters
        ----------
        config : FollowConfig
            See there; with another distance there is another target, though nobody has moved.

        """
        if config.distance != self.config.distance:
            self._last = None
        self.config = config

    def choose(self, stamp_ns, talkers):
        """
        Choose whom to follow.

        Parameters
        ----------
        stamp_ns : int
            Of what the tracker said, nanoseconds.
        talkers : list of nsrp_ros.tracking.tracker.Talker
            All whom it knows.

        Returns
        -------
        Talker or None
            Somebody who is talking and whose place is known well, or nobody.

        """
        if self._last is not None and stamp_ns < self._last[2]:
            self._number = self._last = None  # the clock was set back
        sure = {t.number: t for t in talkers if t.talking
                and math.sqrt(np.linalg.eigvalsh(t.covariance)[-1]) <= self.config.max_spread}
        if self._number not in sure:
            patient = (self._number is not None
                       and stamp_ns - self._heard_ns <= self.config.loyalty * NS)
            if not sure or patient:
                return None
            self._number = min(sure)  # known for the longest time
        self._heard_ns = stamp_ns
        return sure[self._number]

    def target(self, stamp_ns, talker, robot):
        """
        Return a new target, or None where the last one will do.

        Parameters
        ----------
        stamp_ns : int
            As for `choose`.
        talker : nsrp_ros.tracking.tracker.Talker
            Whom it chose.
        robot : array_like
            Shape (2,), metres: where the robot is.

        Returns
        -------
        Target or None
            See there.

        """
        if self._last is not None:
            number, place, last_ns = self._last
            if stamp_ns - last_ns < self.config.interval * NS:
                return None
            moved = np.linalg.norm(talker.position - place)
            if number == talker.number and moved < self.config.hysteresis:
                return None
        self._last = (talker.number, talker.position, stamp_ns)
        place, yaw = stand_off(robot, talker.position, self.config.distance)
        return Target(place, yaw, talker.number)
