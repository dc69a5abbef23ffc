"""
The one way to be localized: every method, on the robot and in every measurement.

    localizer = Localizer.load('srp_phat')
    estimate = localizer.locate(signals, sample_rate, mic_positions, room_dims)
"""

from nsrp_ros.core.config import BackprojectionConfig
from nsrp_ros.core.config import Confidence
from nsrp_ros.core.config import SrpConfig
from nsrp_ros.core.model_files import find_weights
from nsrp_ros.core.model_files import WeightsError
from nsrp_ros.core.resampling import resample
from nsrp_ros.core.validation import check_scene
from nsrp_ros.localization.srp_phat import SrpPhat

CLASSICAL = {
    'srp_phat': SrpConfig(confidence=Confidence(-12.0445, 5.2142, 1.5667)),
    'srp_phat_2d': SrpConfig(nx=25, ny=25, nz=1, interpolation=1,
                             confidence=Confidence(-10.2049, 3.5628, 2.4203)),
}
"""Methods without weights; their confidences are what
`nsrp_ros.evaluation.confidence_calibration` prints."""


class Localizer:
    """
    A localization method, ready to use; make one with `Localizer.load`.

    Parameters
    ----------
    method : SrpPhat, NeuralSrp, Backprojector or OnnxBackprojector
        What answers; its `config` names the sample rate that it wants.

    """

    def __init__(self, method):
        self._method = method
        self.config = method.config

    @classmethod
    def load(cls, method='backprojection', device='cpu', threads=0):
        """
        Load a method by name.

        Parameters
        ----------
        method : str
            'srp_phat', 'srp_phat_2d', a network in models/ such as 'neural_srp', or the path of
            a .safetensors file. 'backprojection.onnx', or a .onnx.zip file that
            `training.export_onnx` has written, needs ONNX Runtime in place of torch.
        device : str
            A torch device for networks, such as 'cpu' or 'cuda:0'.
        threads : int
            Of a network on a CPU; 0 leaves that to its library. Torch knows one number for all
            that runs in this process, which then changes.

        Raises
        ------
        WeightsError
            If the method is unknown or its weights cannot be read, or by which library is not
            installed.

        """
        if method in CLASSICAL:
            return cls(SrpPhat(CLASSICAL[method]))
        path = find_weights(method)
        # Networks are imported when they are wanted: torch alone is a gigabyte, and who has ONNX
        # Runtime or wants SRP only may not have it.
        if path.name.endswith('.onnx.zip'):
            from nsrp_ros.localization.backprojection.engine import OnnxBackprojector
            from nsrp_ros.localization.backprojection.onnx_session import OnnxNetwork
            if device != 'cpu':
                raise WeightsError(f'{path.name} runs on the CPU only, not on {device!r}')
            return cls(OnnxBackprojector(OnnxNetwork.load(path, threads)))
        try:
            import torch
        except ImportError as error:
            raise WeightsError(f'method {method!r} needs torch: install it, or choose a network '
                               'for ONNX Runtime such as backprojection.onnx') from error
        from nsrp_ros.localization.backprojection.torch_batches import Backprojector
        from nsrp_ros.localization.neural_srp import NeuralSrp
        from nsrp_ros.networks.checkpoint import load_checkpoint
        if threads:
            torch.set_num_threads(threads)
        model = load_checkpoint(path)
        ours = isinstance(model.config, BackprojectionConfig)
        return cls(Backprojector(model, device) if ours else NeuralSrp(model, device))

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
        if wanted and not isinstance(self.config, BackprojectionConfig):
            raise ValueError(f'{" and ".join(wanted)} can be asked of backprojection only: other '
                             'methods have a grid of their own')
        return self._method.estimate(
            *self._scene(signals, sample_rate, mic_positions, room_dims), **wanted)

    def locate_all(self, windows):
        """
        Locate the talkers of many windows: as many at once as share a GPU, if there is one.

        Parameters
        ----------
        windows : list of tuple
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
        if hasattr(self._method, 'estimate_all'):
            return self._method.estimate_all(scenes)
        return [self._method.estimate(*scene) for scene in scenes]

    def _scene(self, signals, sample_rate, mic_positions, room_dims):
        """Check a scene and bring it to the method's sample rate."""
        signals, mic_positions, room_dims = check_scene(
            signals, sample_rate, mic_positions, room_dims)
        return resample(signals, sample_rate, self.config.sample_rate), mic_positions, room_dims
