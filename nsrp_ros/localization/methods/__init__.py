"""
Every localization method by its name.

A method is any class with a `config` and an `estimate`: one that knows rooms that are boxes from
the origin, see `Method`, or, with `takes_surroundings`, one that knows all surroundings, see
`SurroundingsMethod`. To add one, put a module into this folder that registers it, and nothing
else:

    register('my_method', lambda device, threads: MyMethod(MyConfig()))

The node's parameter `method`, `localize_bag`, the evaluation and the bench then know it. A package
of its own does the same by an entry point in the group `nsrp_ros.methods` that names such a
module. Modules here are imported whenever names are asked for: what needs torch imports it when
it loads.
"""

from collections.abc import Callable
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import entry_points
from pkgutil import iter_modules
from typing import Any
from typing import ClassVar
from typing import Protocol
from typing import runtime_checkable

from nsrp_ros.core.estimate import Estimate
from nsrp_ros.core.surroundings import Surroundings
import numpy as np
from numpy.typing import NDArray

ENTRY_POINTS = 'nsrp_ros.methods'
"""The group of entry points by which other packages bring methods."""


@runtime_checkable
class Method(Protocol):
    """
    What answers for a window in a room that is a box; see box_rooms.py for any other.

    Attributes
    ----------
    config : dataclass
        Frozen; its `sample_rate`, hertz, is the one that signals are brought to, its `confidence`
        a config.Confidence, for methods whose maps are scores.

    """

    config: Any

    def estimate(self, signals: NDArray[np.float32], mic_positions: NDArray[np.float64],
                 room_dims: NDArray[np.float64]) -> Estimate:
        """
        Locate the talker of one window.

        Parameters
        ----------
        signals : numpy.ndarray
            Shape (M, T), float32, at `config.sample_rate`; finite, two microphones or more.
        mic_positions : numpy.ndarray
            Shape (M, 3), metres from the room's lowest corner, no two of them alike.
        room_dims : numpy.ndarray
            Shape (3,), metres.

        Returns
        -------
        Estimate
            See there.

        Raises
        ------
        ValueError
            If the scene is none for this method; the sentence says why.

        """


@runtime_checkable
class BatchMethod(Method, Protocol):
    """A method that gains by locating many windows at once, as on a graphics card."""

    def estimate_all(self, scenes: Sequence[tuple[Any, ...]]) -> list[Estimate]:
        """Locate the talkers of many windows, each the arguments of `estimate`, in order."""


@runtime_checkable
class PosteriorMethod(Protocol):
    """A method with a posterior, which can be asked about a part of the floor."""

    config: Any

    def estimate(self, signals: NDArray[np.float32], mic_positions: NDArray[np.float64],
                 room_dims: NDArray[np.float64], area: Any = None,
                 shape: tuple[int, int] | None = None,
                 search: Surroundings | None = None) -> Estimate:
        """Locate the talker within an area (2, 2), metres, on a map of so many cells."""


@runtime_checkable
class SurroundingsMethod(Protocol):
    """
    A method that knows surroundings of any form; positions are in the caller's frame.

    Attributes
    ----------
    config : dataclass
        See `Method`.
    takes_surroundings : bool
        True. `estimate` and `estimate_all`, if there is one, are given `Surroundings` in place of
        a room's lengths.

    """

    config: Any
    takes_surroundings: ClassVar[bool]

    def estimate(self, signals: NDArray[np.float32], mic_positions: NDArray[np.float64],
                 surroundings: Surroundings, area: Any = None,
                 shape: tuple[int, int] | None = None) -> Estimate:
        """Locate the talker; microphones may be outside the search area."""


@runtime_checkable
class TalkersMethod(SurroundingsMethod, Protocol):
    """A method that finds several talkers in one window."""

    def estimate_talkers(self, signals: NDArray[np.float32], mic_positions: NDArray[np.float64],
                         surroundings: Surroundings, most: int) -> list[Estimate]:
        """Locate up to `most` talkers; none is in the list if nobody talks."""


AnyMethod = Method | SurroundingsMethod
Load = Callable[[str, int], AnyMethod]
"""Makes a method, given a torch device and a number of CPU threads."""
_REGISTRY: dict[str, Load] = {}


def register(name: str, load: Load) -> None:
    """
    Make a method known.

    Parameters
    ----------
    name : str
        What `Localizer.load` takes.
    load : callable
        Given a device such as 'cpu' and a number of threads (0: the library's choice), makes it.

    Raises
    ------
    ValueError
        If another method has that name.

    """
    if name in _REGISTRY and _REGISTRY[name] is not load:
        raise ValueError(f'there is a method {name!r} already')
    _REGISTRY[name] = load


def registered() -> dict[str, Load]:
    """Return the methods that are no files of weights: names to what makes them."""
    for module in iter_modules(__path__, f'{__name__}.'):
        import_module(module.name)
    for entry in entry_points(group=ENTRY_POINTS):
        entry.load()
    return dict(_REGISTRY)
