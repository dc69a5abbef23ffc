"""
Checkpoints: safetensors files that carry their network's configuration.

A file's metadata holds `format`, `method`, `network` and `config` (the network's settings as
JSON), so weights and preprocessing cannot disagree, and loading executes no code from the file.
"""

from collections.abc import Mapping
from dataclasses import asdict
import json
import os
from typing import Any

from nsrp_ros.core.config import BackprojectionConfig
from nsrp_ros.core.config import Calibration
from nsrp_ros.core.config import Confidence
from nsrp_ros.core.config import CrnnConfig
from nsrp_ros.core.model_files import find_weights
from nsrp_ros.core.model_files import model_folders
from nsrp_ros.core.model_files import WeightsError
from nsrp_ros.networks.backprojection import Backprojection
from nsrp_ros.networks.crnn import Crnn
from safetensors import safe_open
from safetensors import SafetensorError
from safetensors.torch import save_file

__all__ = ['find_weights', 'load_checkpoint', 'model_folders', 'save_checkpoint', 'WeightsError']
FORMAT = 'nsrp_ros-1'
NETWORKS: dict[str, tuple[Any, Any]] = {
    'crnn': (Crnn, CrnnConfig), 'backprojection': (Backprojection, BackprojectionConfig)}
"""The class of a network and that of its settings, by the name that files have for it."""


def save_checkpoint(path: str | os.PathLike[str], model: Crnn | Backprojection,
                    method: str) -> None:
    """Write a network's weights and configuration to one safetensors file."""
    tensors = {name: value.detach().cpu().contiguous()
               for name, value in model.state_dict().items()}
    network = next(name for name, (kind, _) in NETWORKS.items() if isinstance(model, kind))
    save_file(tensors, path, metadata={
        'format': FORMAT, 'method': method, 'network': network,
        'config': json.dumps(asdict(model.config))})


def load_checkpoint(path: str | os.PathLike[str]) -> Any:
    """
    Read a network from a file of `save_checkpoint`.

    Returns
    -------
    Crnn or Backprojection
        On the CPU, in training mode, as torch makes it.

    Raises
    ------
    WeightsError
        If the file is damaged, of another format, or does not fit its own configuration.

    """
    try:
        with safe_open(path, framework='pt') as file:
            metadata = file.metadata() or {}
            if metadata.get('format') != FORMAT:
                raise WeightsError(f'{path} is not an nsrp_ros checkpoint '
                                   f'(format {metadata.get("format")!r})')
            network, settings = NETWORKS[metadata.get('network', 'crnn')]
            fields = json.loads(metadata['config'])
            fields['confidence'] = Confidence(**fields['confidence'])
            if settings is BackprojectionConfig:
                fields = {**_default_widths(fields), **fields}
                fields['calibration'] = tuple(
                    Calibration(**one) for one in fields.get('calibration', ()))
            model = network(settings(**{name: _tuples(of) for name, of in fields.items()}))
            model.load_state_dict({name: file.get_tensor(name) for name in file.keys()})
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError, OSError) as error:
        if isinstance(error, WeightsError):
            raise
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WeightsError(f'cannot read weights from {path}: {reason}') from error
    return model


def _default_widths(fields: Mapping[str, Any]) -> dict[str, int]:
    """Return the widths of layers of files that were written before these were settings."""
    return {'hidden_channels': fields['channels'], 'map_hidden_channels': fields['map_channels'],
            'weighting_channels': 16 if fields.get('shared_bins', 1) > 1 else 8}


def _tuples(value: Any) -> Any:
    """Turn JSON's lists back into the tuples that they were."""
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value
