"""Parameters of the tracker."""

from dataclasses import dataclass

from nsrp_ros.core.config import WindowConfig
from nsrp_ros.tracking.peaks import PeakConfig
import numpy as np


@dataclass(frozen=True)
class TrackingConfig:
    """Motion model, data association, and when tracks are confirmed and deleted."""

    agility: float = 0.3
    """Metres a second that a talker's speed changes by in one second, standard deviation."""
    settling: float = 4.0
    """Seconds after which the speed of a talker who is not detected is expected to have decayed to
    a third, so that he is searched for near his last position and not far along his course."""
    speed: float = 0.4
    """Metres a second, standard deviation of a new track's speed."""
    blur: float = 0.2
    """Metres, standard deviation of the peaks' error beyond their own covariance."""
    gate: float = 3.5
    """Mahalanobis distance up to which a peak can be associated with a track."""
    confirmations: int = 3
    """Detections that a track needs to be confirmed, that is, to become a talker."""
    confirmation_time: float = 2.0
    """Seconds without a detection after which an unconfirmed track is deleted."""
    patience: float = 8.0
    """Seconds without a detection after which a confirmed track is deleted."""
    max_spread: float = 2.0
    """Metres, standard deviation of the position in its worst direction, above which a track is
    deleted as too uncertain."""
    way_out: float = 0.5
    """Metres outside the map at which a track is deleted: talkers do not pass walls, but the
    estimate of one beside a wall may be slightly behind it."""
    voice_time: float = 0.6
    """Seconds after a detection for which a talker counts as talking."""
    birth_mass: float = 0.3
    """Share of a map's mass that a peak needs to start a track; a smaller one only updates an
    existing track."""
    delay: float = WindowConfig().length / 2
    """Seconds from the time for which a map's positions hold to the map's stamp: half a
    window."""
    peaks: PeakConfig = PeakConfig()

    def __post_init__(self) -> None:
        """Refuse invalid values."""
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
