"""Locations of weights on the disk; needs neither torch nor ONNX Runtime."""

import os
from pathlib import Path
import sys

SUFFIXES = ('.safetensors', '.onnx.zip')
"""File name suffixes. The method `backprojection.onnx` is in `backprojection.onnx.zip`; a method
named without a suffix is in a .safetensors file."""


class WeightsError(RuntimeError):
    """Weights are missing, damaged, of an unknown format, or need a library that is missing."""


def model_folders() -> list[Path]:
    """
    List the existing folders of weights in the order in which they are searched.

    A source checkout's models/, then share/nsrp_ros/models of every ament prefix, then of this
    Python environment.
    """
    prefixes = [p for p in os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep) if p]
    folders = [Path(__file__).resolve().parents[2] / 'models']
    folders += [Path(p) / 'share/nsrp_ros/models' for p in [*prefixes, sys.prefix]]
    return [folder for folder in folders if folder.is_dir()]


def find_weights(method: str | os.PathLike[str]) -> Path:
    """
    Find the weights of a method.

    Parameters
    ----------
    method : str or path
        The name of a method in one of `model_folders`, or the path of a file.

    Returns
    -------
    pathlib.Path
        An existing file.

    Raises
    ------
    WeightsError
        With the folders that were searched.

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
    raise WeightsError(f'no weights for method {method!r} in {[str(f) for f in folders]}; '
                       f'networks there: {known_weights()}')


def known_weights() -> list[str]:
    """Return the names of all networks that `find_weights` finds, sorted."""
    return sorted({path.name.removesuffix('.zip').removesuffix('.safetensors')
                   for folder in model_folders() for suffix in SUFFIXES
                   for path in folder.glob(f'*{suffix}')})
