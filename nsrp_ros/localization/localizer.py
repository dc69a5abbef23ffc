"""
The one way to be localized: every method, on the robot and in every measurement.

    localizer = Localizer.load('srp_phat')
    estimate = localizer.locate(signals, sample_rate, mic_positions, room_dims)
"""

from collections.abc import Sequence
from typing import Any
from typing import cast

from nsrp_ros.core.config import BackprojectionConfig
from nsrp_ros.core.estimate import Estimate
from nsrp_ros.core.model_files import known_weights
from nsrp_ros.core.resampling import resample
from nsrp_ros.core.validation import check_scene
from nsrp_ros.localization.methods import BatchMethod
from nsrp_ros.localization.methods import Method
from nsrp_ros.localization.methods import PosteriorMethod
from nsrp_ros.localization.methods import registered
from nsrp_ros.localization.weights import load_weights
import numpy as np
from numpy.typing import ArrayLike
from numpy.typing import NDArray


class Localizer:
    """
    A localization method, ready to use; make one with `Localizer.load`.

    Parameters
    ----------
    method : Method
        What answers; its `config` names the sample rate that it wants.

    """

    def __init__(self, method: Method) -> None:
        self._method = method
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
               room_dims: ArrayLike, area: ArrayLike | None = None,
               shape: tuple[int, int] | None = None) -> Estimate:
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
        room_dims : array_like
            Shape (3,), metres; the room is the box from the origin.
        area : array_like, optional
            Shape (2, 2), metres: the lower and upper corner (x, y) of the part of the floor to
            search, for methods that have a posterior; the whole floor if left out.
        shape : tuple of int, optional
            Rows and columns of the map, for methods that have a posterior.

        Returns
        -------
        Estimate
            See there.

        Raises
        ------
        ValueError
            If the scene cannot be localized; the sentence says why.

        """
        wanted: dict[str, Any] = {name: value for name, value in (
            ('area', area), ('shape', shape)) if value is not None}
        if wanted and not isinstance(self.config, BackprojectionConfig):
            raise ValueError(f'{" and ".join(wanted)} can be asked of backprojection only: other '
                             'methods have a grid of their own')
        scene = self._scene(signals, sample_rate, mic_positions, room_dims)
        if not wanted:
            return self._method.estimate(*scene)
        return cast(PosteriorMethod, self._method).estimate(*scene, **wanted)

    def locate_all(self, windows: Sequence[tuple[Any, ...]]) -> list[Estimate]:
        """
        Locate the talkers of many windows: as many at once as share a GPU, if there is one.

        Parameters
        ----------
        windows : sequence of tuple
            The arguments of `locate`: signals, sample_rate, mic_positions, room_dims; all
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
        if isinstance(self._method, BatchMethod):
            return self._method.estimate_all(scenes)
        return [self._method.estimate(*scene) for scene in scenes]

    def _scene(self, signals: ArrayLike, sample_rate: float, mic_positions: ArrayLike,
               room_dims: ArrayLike
               ) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]:
        """Check a scene and bring it to the method's sample rate."""
        signals, mic_positions, room_dims = check_scene(
            signals, sample_rate, mic_positions, room_dims)
        return resample(signals, sample_rate, self.config.sample_rate), mic_positions, room_dims
