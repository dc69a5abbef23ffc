"""
The default method: which of two networks locates depends on what is known of the room.

Where a room is a box that is known exactly, and microphones are spread in it, the network that
knows exact boxes is as accurate and twice as fast, and runs without torch. Everywhere else, and
where several people may talk, the one that knows walls by degrees locates.
"""

from collections.abc import Callable
from collections.abc import Sequence
from typing import Any
from typing import ClassVar

from nsrp_ros.core.estimate import Estimate
from nsrp_ros.core.surroundings import Surroundings
from nsrp_ros.localization import box_rooms
from nsrp_ros.localization.methods import Method
from nsrp_ros.localization.methods import TalkersMethod
import numpy as np
from numpy.typing import NDArray

SMALL = 0.5
"""Metres between the two microphones that are furthest apart, below which all are one small array:
networks that know walls by degrees were trained on these."""


class ByKnowledge:
    """
    Two networks as one method.

    Parameters
    ----------
    boxes : Method
        For rooms that are boxes known exactly.
    load_other : callable
        Loads the network for everything else, when it is wanted for the first time.

    """

    takes_surroundings: ClassVar[bool] = True

    def __init__(self, boxes: Method, load_other: Callable[[], TalkersMethod]) -> None:
        self.config = boxes.config
        self._boxes, self._load_other = boxes, load_other
        self._other: TalkersMethod | None = None

    def estimate(self, signals: NDArray[np.float32], mic_positions: NDArray[np.float64],
                 surroundings: Surroundings, area: Any = None,
                 shape: tuple[int, int] | None = None) -> Estimate:
        """Locate the talker of one window; see `SurroundingsMethod.estimate`."""
        if self._suits_boxes(mic_positions, surroundings):
            return box_rooms.estimate(self._boxes, (signals, mic_positions, surroundings), area,
                                      shape)
        return self._any().estimate(signals, mic_positions, surroundings, area, shape)

    def estimate_all(self, scenes: Sequence[tuple[Any, ...]]) -> list[Estimate]:
        """Locate the talkers of many windows, those of each network together."""
        found: dict[int, Estimate] = {}
        suits = [self._suits_boxes(mics, surroundings) for _, mics, surroundings in scenes]
        some = [k for k, suit in enumerate(suits) if suit]
        if some:
            found.update(zip(some, box_rooms.estimate_all(
                self._boxes, [scenes[k] for k in some]), strict=True))
        rest = [k for k, suit in enumerate(suits) if not suit]
        if rest:
            other: Any = self._any()
            found.update(zip(rest, other.estimate_all([scenes[k] for k in rest]), strict=True))
        return [found[k] for k in range(len(scenes))]

    def estimate_talkers(self, signals: NDArray[np.float32], mic_positions: NDArray[np.float64],
                         surroundings: Surroundings, most: int) -> list[Estimate]:
        """Locate up to `most` talkers of one window; see `TalkersMethod.estimate_talkers`."""
        return self._any().estimate_talkers(signals, mic_positions, surroundings, most)

    def _any(self) -> TalkersMethod:
        if self._other is None:
            self._other = self._load_other()
        return self._other

    @staticmethod
    def _suits_boxes(mic_positions: NDArray[np.float64], surroundings: Surroundings) -> bool:
        apart = np.linalg.norm(mic_positions[:, None] - mic_positions, axis=-1).max()
        return bool(apart >= SMALL) and box_rooms.is_exact_box(surroundings, mic_positions)
