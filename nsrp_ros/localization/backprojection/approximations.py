"""
The approximations that are made on a CPU, and how arrays are sized there.

torch_cpu/network.py and engine.py make the same ones, so that their estimates agree. What each
saves and costs is printed by `python -m nsrp_ros.benchmarks.cpu_latency`.
"""

from dataclasses import dataclass
from functools import lru_cache
import time

CELLS_STEP = 64
"""Numbers of cells are rounded up to multiples of this: kernels are compiled and kept for each."""
REFINEMENT_CELLS = 12
"""Cells along each side of the refinement grid; fewer cost precision and save hardly any time."""


@dataclass(frozen=True)
class Approximations:
    """
    What is approximated; the bench varies these one by one, the package uses the defaults.

    Attributes
    ----------
    lag_margin : int or None
        Lags beyond the possible ones of each pair; None gives all pairs those of the longest,
        as in training: reflections off walls lie beyond, and cutting them off costs accuracy.
    refine_below : float
        A cell is computed, and not interpolated from a coarser grid, where the probability there
        is above this share of the largest; 0 computes all cells.
    cache_geometry : bool
        Whether to cache the projections of the map's cells while microphones stand still: about
        20 MB for 6 microphones, 60 MB for 16, once talkers have been everywhere.
    pairs_per_microphone : int or None
        Where there are more than 45 pairs, the mean number of selected pairs that each microphone
        is in; None selects all.
    bfloat16 : bool or None
        Whether matrices have sixteen bits; None measures which is faster.

    """

    lag_margin: int | None = None
    refine_below: float = 0.03
    cache_geometry: bool = True
    pairs_per_microphone: int | None = 6
    bfloat16: bool | None = None


def round_up_cells(n_cells: int) -> int:
    """Round a number of cells up to a multiple of `CELLS_STEP`."""
    return CELLS_STEP * -(-n_cells // CELLS_STEP)


@lru_cache(maxsize=1)
def bfloat16_is_faster() -> bool:
    """Return whether this processor multiplies matrices of sixteen bits markedly faster."""
    import torch  # not above: ONNX Runtime is used where there is no torch
    taken = {}
    for dtype in (torch.float32, torch.bfloat16):
        left, right = torch.ones(1024, 320, dtype=dtype), torch.ones(320, 64, dtype=dtype)
        times = []
        for _ in range(7):
            start = time.perf_counter()
            left @ right
            times.append(time.perf_counter() - start)
        taken[dtype] = min(times)
    return taken[torch.bfloat16] < 0.8 * taken[torch.float32]
