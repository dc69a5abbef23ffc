"""
Checkpoints: safetensors files that carry their network's configuration.

A file's metadata holds `format`, `method`, `network` and `config` (the network's settings as
JSON), so weights and preprocessing cannot disagree, and loading runs no code that the file could
bring.
"""

from dataclasses import asdict
import json
import os
from pathlib import Path
import sys

from nsrp_ros.core.backprojection import Backprojection
from nsrp_ros.core.config import BackprojectionConfig
from nsrp_ros.core.config import Confidence
from nsrp_ros.core.config import CrnnConfig
from nsrp_ros.core.neural_srp import Crnn
from safetensors import safe_open
from safetensors import SafetensorError
from safetensors.torch import save_file

FORMAT = 'nsrp_ros-1'
NETWORKS = {'crnn': (Crnn, CrnnConfig), 'backprojection': (Backprojection, BackprojectionConfig)}


class WeightsError(RuntimeError):
    """A checkpoint is missing, damaged, or not one of ours."""


def model_folders():
    """
    List the folders where weights may lie, best first.

    A source checkout's models/, then share/nsrp_ros/models of every ament prefix, then of this
    Python environment.
    """
    prefixes = [p for p in os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep) if p]
    folders = [Path(__file__).resolve().parents[2] / 'models']
    folders += [Path(p) / 'share/nsrp_ros/models' for p in [*prefixes, sys.prefix]]
    return [folder for folder in folders if folder.is_dir()]


def find_weights(method):
    """
    Find a method's checkpoint: a name known to this package, or a path to a file.

    Raises
    ------
    WeightsError
        Naming the folders that were searched.

    """
    if str(method).endswith('.safetensors'):
        path = Path(method)
        if not path.is_file():
            raise WeightsError(f'there is no weights file {path}')
        return path
    folders = model_folders()
    for folder in folders:
        path = folder / f'{method}.safetensors'
        if path.is_file():
            return path
    known = sorted({p.stem for folder in folders for p in folder.glob('*.safetensors')})
    raise WeightsError(f'no weights for method {method!r} in {[str(f) for f in folders]}; '
                       f'networks there: {known}')


def save_checkpoint(path, model, method):
    """Write a network's weights and configuration to one safetensors file."""
    tensors = {name: value.detach().cpu().contiguous()
               for name, value in model.state_dict().items()}
    network = next(name for name, (kind, _) in NETWORKS.items() if isinstance(model, kind))
    save_file(tensors, path, metadata={
        'format': FORMAT, 'method': method, 'network': network,
        'config': json.dumps(asdict(model.config))})


def load_checkpoint(path):
    """
    Read a network back.

    Returns
    -------
    Crnn or Backprojection
        On the CPU, in training mode, as torch makes it.

    Raises
    ------
    WeightsError
        If the file is damaged, from elsewhere, or does not fit its own configuration.

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
            fields = {name: _tuples(value) for name, value in fields.items()}
            model = network(settings(**fields))
            model.load_state_dict({name: file.get_tensor(name) for name in file.keys()})
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError, OSError) as error:
        if isinstance(error, WeightsError):
            raise
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WeightsError(f'cannot read weights from {path}: {reason}') from error
    return model


def _tuples(value):
    """Turn JSON's lists back into the tuples that they were."""
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value
