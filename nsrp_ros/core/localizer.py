"""
The one way to be localized: every method, on the robot and in every measurement.

    localizer = Localizer.load('srp_phat')
    estimate = localizer.locate(signals, sample_rate, mic_positions, room_dims)
"""

from nsrp_ros.core.backprojection import Backprojection
from nsrp_ros.core.backprojector import Backprojector
from nsrp_ros.core.config import Confidence
from nsrp_ros.core.config import SrpConfig
from nsrp_ros.core.features import resample
from nsrp_ros.core.geometry import check_scene
from nsrp_ros.core.neural_srp import NeuralSrp
from nsrp_ros.core.srp import SrpPhat
from nsrp_ros.core.weights import find_weights
from nsrp_ros.core.weights import load_checkpoint

CLASSICAL = {
    'srp_phat': SrpConfig(confidence=Confidence(-12.0445, 5.2142, 1.5667)),
    'srp_phat_2d': SrpConfig(nx=25, ny=25, nz=1, interpolation=1,
                             confidence=Confidence(-10.2049, 3.5628, 2.4203)),
}
"""Methods without weights. Their confidences are what `nsrp_ros.training.calibrate` prints."""


class Localizer:
    """
    A localization method, ready to use; make one with `Localizer.load`.

    Parameters
    ----------
    method : SrpPhat, NeuralSrp or Backprojector
        What answers; its `config` names the sample rate that it wants.

    """

    def __init__(self, method):
        self._method = method
        self.config = method.config

    @classmethod
    def load(cls, method='backprojection', device='cpu'):
        """
        Load a method by name.

        Parameters
        ----------
        method : str
            'srp_phat', 'srp_phat_2d', a network in models/ such as 'neural_srp', or the path of
            a .safetensors file.
        device : str
            A torch device for networks, such as 'cpu' or 'cuda:0'.

        Raises
        ------
        WeightsError
            If the method is unknown or its weights cannot be read.

        """
        if method in CLASSICAL:
            return cls(SrpPhat(CLASSICAL[method]))
        model = load_checkpoint(find_weights(method))
        wrap = Backprojector if isinstance(model, Backprojection) else NeuralSrp
        return cls(wrap(model, device))

    def locate(self, signals, sample_rate, mic_positions, room_dims, area=None, shape=None):
        """
        Locate the talker in one window.

        Parameters
        ----------
        signals : numpy.ndarray
            Shape (M, T), float32, one row a microphone, M of 2 or more.
        sample_rate : float
            Hertz; resampled to the method's own rate.
        mic_positions : array_like
            Shape (M, 3), metres.
        room_dims : array_like
            Shape (3,), metres; the room is the box from the origin.
        area : array_like, optional
            Shape (2, 2), metres: the lower and upper corner (x, y) of the part of the floor to
            look at, for methods that have a posterior; the whole floor if left out.
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
        wanted = {name: value for name, value in (('area', area), ('shape', shape))
                  if value is not None}
        if wanted and not isinstance(self._method, Backprojector):
            raise ValueError(f'{" and ".join(wanted)} can be asked of backprojection only: other '
                             'methods have a grid of their own')
        signals, mic_positions, room_dims = check_scene(
            signals, sample_rate, mic_positions, room_dims)
        signals = resample(signals, sample_rate, self.config.sample_rate)
        return self._method.estimate(signals, mic_positions, room_dims, **wanted)
