"""
The one way to be localized: every method, on the robot and in every measurement.

    localizer = Localizer.load('srp_phat')
    estimate = localizer.locate(signals, sample_rate, mic_positions, room_dims)
"""

from dataclasses import dataclass
import math

from nsrp_ros.core.config import Confidence
from nsrp_ros.core.config import SrpConfig
from nsrp_ros.core.features import resample
from nsrp_ros.core.geometry import check_scene
from nsrp_ros.core.neural_srp import NeuralSrp
from nsrp_ros.core.srp import SrpPhat
from nsrp_ros.core.weights import find_weights
from nsrp_ros.core.weights import load_checkpoint
import numpy as np

CLASSICAL = {
    'srp_phat': SrpConfig(),
    'srp_phat_2d': SrpConfig(nx=25, ny=25, nz=1, interpolation=1),
}


@dataclass(frozen=True)
class Estimate:
    """
    Where somebody is talking, as far as one window tells.

    Attributes
    ----------
    position : numpy.ndarray
        Shape (2,), x and y in metres in the room's frame: the centre of the map's highest cell,
        as in the paper.
    likelihood_map : numpy.ndarray
        Shape (ny, nx), y first, in the method's own units; higher is likelier.
    x, y : numpy.ndarray
        Shapes (nx,), (ny,), the cells' centres in metres.
    confidence : float
        The probability, in [0, 1], that the position is within 0.5 m of the talker, given that
        somebody talks: a logistic model of how far the map's peak stands out, fitted for each
        method on simulated rooms (see config.Confidence and each model card).

    """

    position: np.ndarray
    likelihood_map: np.ndarray
    x: np.ndarray
    y: np.ndarray
    confidence: float


class Localizer:
    """
    A localization method, ready to use; make one with `Localizer.load`.

    Parameters
    ----------
    method : SrpPhat or NeuralSrp
        What draws the map; its `config` names the sample rate that it wants.

    """

    def __init__(self, method):
        self._method = method
        self.config = method.config

    @classmethod
    def load(cls, method='srp_phat', device='cpu'):
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
        return cls(NeuralSrp(load_checkpoint(find_weights(method)), device))

    def locate(self, signals, sample_rate, mic_positions, room_dims):
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

        Returns
        -------
        Estimate
            See there.

        Raises
        ------
        ValueError
            If the scene cannot be localized; the sentence says why.

        """
        signals, mic_positions, room_dims = check_scene(
            signals, sample_rate, mic_positions, room_dims)
        signals = resample(signals, sample_rate, self.config.sample_rate)
        likelihood_map, x, y = self._method.likelihood(signals, mic_positions, room_dims)
        row, column = np.unravel_index(np.argmax(likelihood_map), likelihood_map.shape)
        return Estimate(
            position=np.array([x[column], y[row]]), likelihood_map=likelihood_map, x=x, y=y,
            confidence=confidence(self.config.confidence, likelihood_map, len(signals)))


def peak_prominence(likelihood_map):
    """Return how many standard deviations the map's peak stands above its mean."""
    spread = float(likelihood_map.std())
    return float(likelihood_map.max() - likelihood_map.mean()) / spread if spread > 0 else 0.0


def confidence(model: Confidence, likelihood_map, n_mics):
    """Evaluate the logistic model of config.Confidence on a map."""
    prominence = peak_prominence(likelihood_map)
    if prominence <= 0:  # a flat map says nothing at all
        return 0.0
    logit = (model.bias + model.prominence * math.log(prominence)
             + model.mics * math.log(n_mics))
    return 1 / (1 + math.exp(-max(-50.0, min(50.0, logit))))
