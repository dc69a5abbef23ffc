"""
What may be left out on a CPU, in which steps, and whether fewer bits gain anything there.

torch_cpu/network.py and engine.py leave out the same, so that their answers agree. How much each
gains and what it costs is printed by `python -m nsrp_ros.benchmarks.cpu_latency`.
"""

from dataclasses import dataclass
from functools import lru_cache
import time

CELLS_STEP = 64
"""So are cells: kernels are compiled and kept for each number of them."""
FINEST = 12
"""Cells along each side of the closer look; fewer take away precision and hardly any time."""


@dataclass(frozen=True)
class Shortcuts:
    """
    What is left out; the bench takes them away one by one, the package always uses the defaults.

    Attributes
    ----------
    lag_margin : int or None
        Lags beyond the possible ones of each pair; None gives all pairs those of the longest,
        as in training: walls' echoes lie beyond, and cutting them off costs accuracy.
    doubt : float
        Cells are computed where an earlier look found them this likely, compared to the
        likeliest; 0 computes all of them.
    remember : bool
        Whether to remember how pairs see the map's cells while microphones stand still: about
        20 MB for 6 microphones, 60 MB for 16, once talkers have been everywhere.
    partners : int or None
        Where there are more than 45 pairs, how many each microphone is in, on average, of those
        that are asked; None asks all.
    bfloat16 : bool or None
        Whether matrices have sixteen bits; None tries out what is faster.

    """

    lag_margin: int | None = None
    doubt: float = 0.03
    remember: bool = True
    partners: int | None = 6
    bfloat16: bool | None = None


def cells_in_steps(n_cells):
    """Round a number of cells up to whole steps."""
    return CELLS_STEP * -(-n_cells // CELLS_STEP)


@lru_cache(maxsize=1)
def bfloat16_pays():
    """Return whether this processor multiplies matrices of sixteen bits markedly faster."""
    import torch  # not above: ONNX Runtime takes shortcuts where there is no torch
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
