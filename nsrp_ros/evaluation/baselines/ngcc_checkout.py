"""
The user's own clone of NGCC-PHAT, which ngcc_phat.py uses as a baseline.

    A. Berg, M. O'Connor, K. Astrom, M. Oskarsson, "Extending GCC-PHAT using Shift Equivariant
    Neural Networks", Interspeech 2022. https://github.com/axeber01/ngcc (MIT licence)

Neither its code nor its weights are part of this package. Clone the repository, which holds both,
and name the folder in the environment variable NGCC_PHAT. Its model.py is then run as it stands,
so name only a clone that you trust.
"""

from collections.abc import Iterator
from contextlib import contextmanager
import importlib.util
import os
from pathlib import Path
import pickle
import sys
from types import ModuleType

import torch

VARIABLE = 'NGCC_PHAT'
"""The environment variable that names the clone's folder."""
WEIGHTS = 'experiments/ngccphat/model.pth'
_CHANNELS = 128  # of the network behind these weights, see experiments/ngccphat/cfg.py


class NgccError(RuntimeError):
    """The clone of NGCC-PHAT is not named, incomplete, or another version."""


def clone_folder(folder: str | os.PathLike[str] | None = None) -> Path:
    """
    Find the user's clone of NGCC-PHAT.

    Parameters
    ----------
    folder : path, optional
        Of the clone; else $NGCC_PHAT.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    NgccError
        If there is none, or a file of it is missing; the sentence says which.

    """
    folder = folder or os.environ.get(VARIABLE)
    if not folder:
        raise NgccError(f'ngcc_phat needs a clone of https://github.com/axeber01/ngcc; {VARIABLE} '
                        'names its folder')
    folder = Path(folder)
    for name in ('model.py', 'dnn_models.py', WEIGHTS):
        if not (folder / name).is_file():
            raise NgccError(f'{folder} is not a complete clone of https://github.com/axeber01/'
                            f'ngcc: {name} is missing')
    return folder


def load_network(folder: str | os.PathLike[str] | None = None) -> torch.nn.Module:
    """
    Build the network from the clone's code and load the clone's weights.

    Parameters
    ----------
    folder : path, optional
        See `clone_folder`.

    Returns
    -------
    torch.nn.Module
        The clone's NGCCPHAT, on the CPU, in evaluation mode.

    Raises
    ------
    NgccError
        If the clone is absent, incomplete, or its code and weights do not fit.

    """
    folder = clone_folder(folder)
    try:
        with _temporary_modules(torch_same_pad=_same_padding_module()):
            with _temporary_modules(dnn_models=_execute(folder / 'dnn_models.py')):
                model = _execute(folder / 'model.py')
        network = model.NGCCPHAT(head='classifier', use_sinc=True, num_channels=_CHANNELS)
        network.load_state_dict(torch.load(folder / WEIGHTS, 'cpu', weights_only=True))
    except (ImportError, AttributeError, TypeError, RuntimeError, OSError,
            pickle.UnpicklingError) as error:
        raise NgccError(f'cannot make NGCC-PHAT from {folder}: '
                        f'{str(error).splitlines()[0]}') from error
    return network.eval()


def _execute(path: Path) -> ModuleType:
    """Run a Python file as a module that cannot be imported by name."""
    spec = importlib.util.spec_from_file_location(f'_ngcc_{path.stem}', path)
    if spec is None or spec.loader is None:
        raise ImportError(f'{path} is not a Python file')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextmanager
def _temporary_modules(**modules: ModuleType) -> Iterator[None]:
    """Let modules be imported by name within a context."""
    before = {name: sys.modules.get(name) for name in modules}
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


def _same_padding_module() -> ModuleType:
    """
    Stand in for the package torch_same_pad, which needs a Python before 3.10.

    The network's strides and dilations are 1 and its kernels odd, so that the padding which keeps
    a length is half the kernel on both sides.
    """
    module = ModuleType('torch_same_pad')
    setattr(module, 'get_pad', lambda size, kernel_size, stride, dilation: 2 * [
        (kernel_size if isinstance(kernel_size, int) else kernel_size[0]) // 2])
    return module
