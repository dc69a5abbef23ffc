"""
From likelihood maps to talkers: map -> peaks -> tracker, the same for node, bag and evaluation.

Maps are those that the localizer publishes, integers in square cells, so that all three give the
same talkers.
"""

from dataclasses import dataclass
from dataclasses import replace

from nsrp_ros.core.estimate import Estimate
from nsrp_ros.localization.occupancy_grid import occupancy
from nsrp_ros.localization.occupancy_grid import square_map
from nsrp_ros.pipeline.settings import Room
from nsrp_ros.tracking.peaks import find_peaks
from nsrp_ros.tracking.peaks import Peak
from nsrp_ros.tracking.peaks import PeakConfig
from nsrp_ros.tracking.tracker import Talker
from nsrp_ros.tracking.tracker import TalkerTracker
from nsrp_ros.tracking.tracker import TrackingConfig
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class LikelihoodMap:
    """
    A map as nav_msgs/OccupancyGrid carries it.

    Attributes
    ----------
    cells : numpy.ndarray
        Shape (height, width), int8: 0 to 98, and -1 outside the room.
    origin : tuple of float
        The map's lower corner (x, y), metres in its frame.
    resolution : float
        Side of a cell, metres, rounded to the 32 bits that the message has for it.

    """

    cells: NDArray[np.int8]
    origin: tuple[float, float]
    resolution: float

    def __post_init__(self) -> None:
        """Round the resolution as the message does, so that cells are the same everywhere."""
        object.__setattr__(self, 'resolution', float(np.float32(self.resolution)))

    @classmethod
    def of_estimate(cls, estimate: Estimate, room: Room, resolution: float) -> 'LikelihoodMap':
        """Convert an estimate's map to what the localizer publishes."""
        return cls(occupancy(square_map(estimate, room.dims, resolution)),
                   (room.origin[0], room.origin[1]), resolution)

    @property
    def values(self) -> NDArray[np.float64]:
        """Return the values of the cells, shape (height, width), NaN outside the room."""
        return np.where(self.cells < 0, np.nan, self.cells.astype(np.float64))

    @property
    def axes(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the cells' centres x (width,) and y (height,), metres."""
        x, y = (low + (np.arange(n) + 0.5) * self.resolution
                for low, n in zip(self.origin, self.cells.shape[::-1], strict=True))
        return x, y

    @property
    def box(self) -> NDArray[np.float64]:
        """Return the lower and the upper corner, shape (2, 2), metres."""
        low = np.asarray(self.origin, dtype=np.float64)
        return np.stack([low, low + self.resolution * np.array(self.cells.shape[::-1])])


def map_peaks(likelihood_map: LikelihoodMap, config: PeakConfig,
              refined_position: NDArray[np.float64] | None = None) -> list[Peak]:
    """
    Find the peaks of a map.

    Parameters
    ----------
    likelihood_map : LikelihoodMap
        See there.
    config : PeakConfig
        What counts as a peak.
    refined_position : numpy.ndarray, optional
        Shape (2,), metres in the map's frame: the localizer's estimate, which is finer than a
        cell. It replaces the position of the first peak where it is within `config.radius`.

    Returns
    -------
    list of Peak
        By descending mass.

    """
    peaks = find_peaks(likelihood_map.values, *likelihood_map.axes, config)
    if refined_position is not None and peaks:
        if np.linalg.norm(refined_position - peaks[0].position) <= config.radius:
            peaks[0] = replace(peaks[0], position=refined_position)
    return peaks


class MapTracker:
    """
    Tracks talkers, with persistent numbers, from map to map.

    Parameters
    ----------
    config : TrackingConfig
        Of peaks and tracks.

    Attributes
    ----------
    peaks : list of Peak
        Those of the latest map.

    """

    def __init__(self, config: TrackingConfig) -> None:
        self._tracker = TalkerTracker(config)
        self.peaks: list[Peak] = []

    def configure(self, config: TrackingConfig) -> None:
        """Change the configuration from the next map on; existing tracks stay."""
        self._tracker.configure(config)

    def update(self, stamp_ns: int, likelihood_map: LikelihoodMap,
               refined_position: NDArray[np.float64] | None = None) -> list[Talker]:
        """
        Update the tracks by one map.

        Parameters
        ----------
        stamp_ns : int
            The map's, nanoseconds.
        likelihood_map, refined_position
            See `map_peaks`.

        Returns
        -------
        list of Talker
            By number, none of them outside the map.

        """
        self.peaks = map_peaks(likelihood_map, self._tracker.config.peaks, refined_position)
        return self._tracker.update(stamp_ns, self.peaks, likelihood_map.box)

    def update_without_detections(self, stamp_ns: int,
                                  likelihood_map: LikelihoodMap) -> list[Talker]:
        """Advance the tracks to a map without detections, such as one of low confidence."""
        self.peaks = []
        return self._tracker.update(stamp_ns, [], likelihood_map.box)
