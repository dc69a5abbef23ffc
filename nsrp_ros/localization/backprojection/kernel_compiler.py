"""
Compiling loops by Numba, and the functions of geometry.py that they share with all other code.

Importing this needs Numba: only `compiled_kernels` imports it, where Numba is installed.
"""

from collections.abc import Callable
from functools import partial
import logging
from typing import Any

from nsrp_ros.core import geometry
from numba import njit
from numba import types
from numba import void
from numba.extending import overload_method
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]
"""The arrays of compiled loops, all of them contiguous."""

_LOG = logging.getLogger('nsrp_ros')

# Numba keeps compiled loops by their own file alone: after a change of these functions its folder
# __pycache__ (or NUMBA_CACHE_DIR) must be emptied.
path_difference = njit(inline='always')(geometry.path_difference)
cross_spectrum = njit(inline='always')(geometry.cross_spectrum)


@overload_method(types.Complex, 'conj')
def _conj(number: Any) -> Callable[[Any], Any]:
    """Give complex numbers the method that arrays have."""
    def conj(number: Any) -> Any:
        return number.conjugate()
    return conj


def compiled(*arguments: Any) -> Callable[[Callable[..., None]], Any]:
    """
    Compile a function, or load it from Numba's cache.

    Parameters
    ----------
    *arguments : numba.types.Type
        The types of its arguments. It returns nothing.

    Returns
    -------
    callable
        A decorator.

    """
    def compile_it(function: Callable[..., None]) -> Any:
        compiler = partial(njit, void(*arguments), fastmath=True, nogil=True,
                           error_model='numpy')
        try:
            return compiler(cache=True)(function)
        except Exception as error:  # noqa: B902, cache files may be damaged in any way
            # Or no folder can be written to, or the disk is full. If compiling fails, it does so
            # once more, and is no longer caught.
            _LOG.warning('Compiled %s cannot be kept, every start will compile it: %s: %s',
                         function.__name__, type(error).__name__, error)
            return compiler()(function)
    return compile_it
