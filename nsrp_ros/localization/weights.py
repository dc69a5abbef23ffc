"""
Methods that are files of weights, loaded by the library that a file is for.

Networks are imported when they are wanted: torch alone is a gigabyte, and a robot that has ONNX
Runtime, or wants SRP-PHAT only, may not have it.
"""

import logging
from pathlib import Path
from typing import cast

from nsrp_ros.core.model_files import find_weights
from nsrp_ros.core.model_files import WeightsError
from nsrp_ros.localization.methods import AnyMethod
from nsrp_ros.localization.methods import Method
from nsrp_ros.localization.methods import TalkersMethod

_LOG = logging.getLogger('nsrp_ros')


DEFAULT, ANY_ROOM = 'backprojection', 'surroundings'
"""The default method, and the network that takes its place where rooms are no exact boxes."""


def load_weights(name: str, device: str = 'cpu', threads: int = 0) -> AnyMethod:
    """
    Load a network.

    Parameters
    ----------
    name : str
        In models/, such as 'backprojection', or the path of a .safetensors or .onnx.zip file.
        Where torch is missing, a network that lies beside it for ONNX Runtime takes its place.
    device : str
        A torch device, such as 'cpu' or 'cuda:0'.
    threads : int
        On a CPU; 0 leaves that to the library. Torch knows one number for all that runs in this
        process, which then changes.

    Returns
    -------
    Method or SurroundingsMethod
        Ready to locate.

    Raises
    ------
    WeightsError
        If there are none, if they cannot be read, or by which library that is not installed.

    """
    found = _load(name, device, threads)
    if name != DEFAULT:
        return found
    from nsrp_ros.localization.by_knowledge import ByKnowledge

    def load_other() -> TalkersMethod:
        return cast(TalkersMethod, _load(ANY_ROOM, device, threads))
    return ByKnowledge(cast(Method, found), load_other)


def _load(name: str, device: str, threads: int) -> AnyMethod:
    """Load one network by the library that its file is for."""
    path = find_weights(name)
    if path.name.endswith('.onnx.zip'):
        return _load_onnx(path, device, threads)
    try:
        import torch
    except ImportError as error:
        twin = path.with_name(f'{path.stem}.onnx.zip')
        if device == 'cpu' and twin.is_file():
            _LOG.info('%s runs on ONNX Runtime: torch is not installed', name)
            return _load_onnx(twin, device, threads)
        raise WeightsError(f'method {name!r} needs torch: install it, or choose a network '
                           'for ONNX Runtime such as backprojection.onnx') from error
    from nsrp_ros.core.config import BackprojectionConfig
    from nsrp_ros.localization.backprojection.any_surroundings import SurroundingsBackprojector
    from nsrp_ros.localization.backprojection.torch_batches import Backprojector
    from nsrp_ros.localization.neural_srp import NeuralSrp
    from nsrp_ros.networks.checkpoint import load_checkpoint
    if threads:
        torch.set_num_threads(threads)
    model = load_checkpoint(path)
    if isinstance(model.config, BackprojectionConfig):
        if model.config.uncertain_walls:
            return SurroundingsBackprojector(model, device)
        return Backprojector(model, device)
    return NeuralSrp(model, device)


def _load_onnx(path: Path, device: str, threads: int) -> AnyMethod:
    from nsrp_ros.localization.backprojection.engine import OnnxBackprojector
    from nsrp_ros.localization.backprojection.onnx_session import OnnxNetwork
    if device != 'cpu':
        raise WeightsError(f'{path.name} runs on the CPU only, not on {device!r}')
    return OnnxBackprojector(OnnxNetwork.load(path, threads))
