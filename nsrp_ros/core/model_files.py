"""Where weights lie on a disk, whatever reads them; needs neither torch nor ONNX Runtime."""

import os
from pathlib import Path
import sys

SUFFIXES = ('.safetensors', '.onnx.zip')
"""How files end. The method `backprojection.onnx` is in `backprojection.onnx.zip`, one
that is named without an ending in a .safetensors file."""


class WeightsError(RuntimeError):
    """Weights are missing, damaged, not one of ours, or for a library that is not there."""


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
    Find a method's file: a name known to this package, or a path to a file.

    Raises
    ------
    WeightsError
        Naming the folders that were searched.

    """
    if str(method).endswith(SUFFIXES):
        path = Path(method)
        if not path.is_file():
            raise WeightsError(f'there is no weights file {path}')
        return path
    name = f'{method}.zip' if str(method).endswith('.onnx') else f'{method}.safetensors'
    folders = model_folders()
    for folder in folders:
        path = folder / name
        if path.is_file():
            return path
    known = sorted({path.name.removesuffix('.zip').removesuffix('.safetensors')
                    for folder in folders for suffix in SUFFIXES
                    for path in folder.glob(f'*{suffix}')})
    raise WeightsError(f'no weights for method {method!r} in {[str(f) for f in folders]}; '
                       f'networks there: {known}')
