"""
The one way to be localized: every method, on the robot and in every measurement.

    localizer = Localizer.load('srp_phat')
    estimate = localizer.locate(signals, sample_rate, mic_positions, surroundings)
"""

from collections.abc import Sequence
from typing import Any
from typing import cast

from nsrp_ros.core.estimate import Estimate
from nsrp_ros.core.estimate import Talkers
from nsrp_ros.core.model_files import known_weights
from nsrp_ros.core.resampling import resample
from nsrp_ros.core.spectral_edges import without_offset
from nsrp_ros.core.surroundings import Surroundings
from nsrp_ros.core.validation import check_scene
from nsrp_ros.localization import box_rooms
from nsrp_ros.localization.methods import AnyMethod
from nsrp_ros.localization.methods import BatchMethod
from nsrp_ros.localization.methods import Method
from nsrp_ros.localization.methods import registered
from nsrp_ros.localization.methods import SurroundingsMethod
from nsrp_ros.localization.methods import TalkersMethod
from nsrp_ros.localization.weights import load_weights
import numpy as np
from numpy.typing import ArrayLike
from numpy.typing import NDArray


class Localizer:
    """
    A localization method, ready to use; make one with `Localizer.load`.

    Parameters
    ----------
    method : Method or SurroundingsMethod
        What answers; its `config` names the sample rate that it wants.

    """

    def __init__(self, method: AnyMethod) -> None:
        self._method = method
        # Other methods know rooms that are boxes from the origin, and answer by box_rooms.py.
        self._takes_surroundings = bool(getattr(method, 'takes_surroundings', False))
        self.config = method.config

    @classmethod
    def load(cls, method: str = 'backprojection', device: str = 'cpu',
             threads: int = 0) -> 'Localizer':
        """
        Load a method by name.

        Parameters
        ----------
        method : str
            One of `methods()`, or the path of a .safetensors file, or of an .onnx.zip file that
            `training.export_onnx` has written, which needs ONNX Runtime in place of torch.
        device : str
            A torch device for networks, such as 'cpu' or 'cuda:0'.
        threads : int
            Of a network on a CPU; 0 leaves that to its library.

        Raises
        ------
        WeightsError
            If the method is unknown or its weights cannot be read, or by which library is not
            installed.

        """
        known = registered()
        if method in known:
            return cls(known[method](device, threads))
        return cls(load_weights(method, device, threads))

    @staticmethod
    def methods() -> list[str]:
        """Return the names that `load` takes: registered methods and weights in models/."""
        return sorted({*registered(), *known_weights()})

    def locate(self, signals: ArrayLike, sample_rate: float, mic_positions: ArrayLike,
               surroundings: ArrayLike | Surroundings | None = None,
               area: ArrayLike | None = None, shape: tuple[int, int] | None = None, *,
               room_dims: ArrayLike | None = None) -> Estimate:
        """
        Locate the talker in one window.

        Parameters
        ----------
        signals : array_like
            Shape (M, T), float32, one row a microphone, M of 2 or more.
        sample_rate : float
            Hertz; resampled to the method's own rate.
        mic_positions : array_like
            Shape (M, 3), metres.
        surroundings : Surroundings or array_like
            Where to search, and what is known of the walls, in the frame of the microphones; or
            shape (3,), metres: the lengths of a room that is the box from the origin, its walls
            known exactly. Microphones may be outside a search area, but not outside such a room.
        area : array_like, optional
            Shape (2, 2), metres: the lower and upper corner (x, y) of the part of the floor to
            search, for methods that have a posterior; the whole floor if left out.
        shape : tuple of int, optional
            Rows and columns of the map, for methods that have a posterior.
        room_dims : array_like, optional
            Another name of `surroundings`, for callers that give lengths by name.

        Returns
        -------
        Estimate
            See there.

        Raises
        ------
        ValueError
            If the scene cannot be localized; the sentence says why.
        TypeError
            If there are no surroundings.

        """
        wanted: dict[str, Any] = {name: value for name, value in (
            ('area', area), ('shape', shape)) if value is not None}
        if wanted and not (self._takes_surroundings or box_rooms.has_posterior(self._method)):
            raise ValueError(f'{" and ".join(wanted)} can be asked of backprojection only: other '
                             'methods have a grid of their own')
        surroundings = room_dims if surroundings is None else surroundings
        if surroundings is None:
            raise TypeError('locate needs surroundings, or the lengths of a room')
        scene = self._scene(signals, sample_rate, mic_positions, surroundings)
        if self._takes_surroundings:
            return cast(SurroundingsMethod, self._method).estimate(*scene, **wanted)
        return box_rooms.estimate(cast(Method, self._method), scene, **wanted)

    def locate_talkers(self, signals: ArrayLike, sample_rate: float, mic_positions: ArrayLike,
                       surroundings: ArrayLike | Surroundings, most: int = 3) -> Talkers:
        """
        Locate everybody who talks in one window.

        Parameters
        ----------
        signals, sample_rate, mic_positions, surroundings
            As of `locate`.
        most : int
            How many talkers to look for, 1 or more.

        Returns
        -------
        Talkers
            A sequence of estimates, one of each voice, the surest first, with a map of all; empty
            if nobody talks. Methods that locate one talker find no more than one.

        Raises
        ------
        ValueError
            If the scene cannot be localized, or no talker is asked for.

        """
        if most < 1:
            raise ValueError(f'most must be 1 or more talkers, got {most}')
        if not isinstance(self._method, TalkersMethod):
            one = self.locate(signals, sample_rate, mic_positions, surroundings)
            return Talkers((one,) if one.presence is None or one.presence >= 0.5 else ())
        found = self._method.estimate_talkers(
            *self._scene(signals, sample_rate, mic_positions, surroundings), most)
        return Talkers(tuple(sorted(found, key=lambda one: -one.confidence)[:most]))

    def locate_all(self, windows: Sequence[tuple[Any, ...]]) -> list[Estimate]:
        """
        Locate the talkers of many windows: as many at once as share a GPU, if there is one.

        Parameters
        ----------
        windows : sequence of tuple
            The arguments of `locate`: signals, sample_rate, mic_positions, surroundings; all
            windows of the same length.

        Returns
        -------
        list of Estimate
            In the order of the windows.

        Raises
        ------
        ValueError
            If one of the scenes cannot be localized.

        """
        scenes = [self._scene(*window) for window in windows]
        if not self._takes_surroundings:
            return box_rooms.estimate_all(cast(Method, self._method), scenes)
        if isinstance(self._method, BatchMethod):
            return self._method.estimate_all(scenes)
        return [cast(SurroundingsMethod, self._method).estimate(*scene) for scene in scenes]

    def _scene(self, signals: ArrayLike, sample_rate: float, mic_positions: ArrayLike,
               surroundings: ArrayLike | Surroundings
               ) -> tuple[NDArray[np.float32], NDArray[np.float64], Surroundings]:
        """Check a scene and bring it to the method's sample rate."""
        signals, mic_positions, surroundings = check_scene(
            signals, sample_rate, mic_positions, surroundings)
        signals = without_offset(signals)
        return (resample(signals, sample_rate, self.config.sample_rate), mic_positions,
                surroundings)
