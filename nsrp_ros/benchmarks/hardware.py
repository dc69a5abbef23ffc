"""The speed of a machine, the operations of a call, and the time it takes."""

from collections import defaultdict
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import time
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

_MAX_SECONDS = 15.0  # after which a slow method is not timed again, once it was three times


class ByteCounter(TorchDispatchMode):
    """
    Count the bytes that operations read and write, as if there were no caches.

    Attributes
    ----------
    total : int
        Bytes.

    """

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, function: Any, types: Sequence[type],
                           args: tuple[Any, ...] = (),
                           kwargs: Mapping[str, Any] | None = None) -> Any:
        """Run an operation; views move nothing."""
        result = function(*args, **(kwargs or {}))
        outputs = [t for t in tree_leaves(result) if torch.is_tensor(t)]
        inputs = [t for t in tree_leaves((args, kwargs)) if torch.is_tensor(t)]
        own = {t.untyped_storage().data_ptr() for t in inputs}
        if (outputs and not function.is_view
                and (function._schema.is_mutable
                     or any(t.untyped_storage().data_ptr() not in own for t in outputs))):
            self.total += sum(t.numel() * t.element_size() for t in inputs + outputs)
        return result


def timed(calls: Mapping[str, Callable[[], object]], repeats: int,
          title: str) -> dict[str, dict[str, float]]:
    """
    Time calls in turn.

    Parameters
    ----------
    calls : dict of str to callable
        Each is called twice before, so that nothing is compiled or first allocated while timed.
    repeats : int
        How often each is timed; at least three times, even if it is slow.
    title : str
        Of the progress bar.

    Returns
    -------
    dict of str to dict
        Medians in milliseconds: 'wall_ms', 'cpu_ms' (of all threads), and 'least_ms', the least.

    """
    for call in calls.values():
        call()
        call()
    taken: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for repeat in tqdm(range(repeats), desc=title, leave=False):
        for name, call in calls.items():
            if repeat >= 3 and sum(wall for wall, _ in taken[name]) > _MAX_SECONDS:
                continue
            wall, cpu = time.perf_counter(), time.process_time()
            call()
            taken[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    return {name: {'wall_ms': 1e3 * float(np.median([w for w, _ in pairs])),
                   'cpu_ms': 1e3 * float(np.median([c for _, c in pairs])),
                   'least_ms': 1e3 * min(w for w, _ in pairs)} for name, pairs in taken.items()}


def machine_speeds(device: str | torch.device = 'cpu') -> dict[str, float]:
    """Measure multiplications (flop/s) by number format, and copying (bytes/s)."""
    cuda = torch.device(device).type == 'cuda'

    def least(call: Callable[[], object], repeats: int) -> float:
        def whole() -> None:
            call()
            if cuda:
                torch.cuda.synchronize(device)
        return timed({'': whole}, repeats, 'speeds')['']['least_ms'] / 1e3

    # Matrices on a processor are as large as in the network, on a card as large as it needs.
    rows, columns, numbers = (8192, 8192, 2 ** 28) if cuda else (1024, 64, 2 ** 24)
    speeds = {}
    for name, dtype in (('float32', torch.float32), ('bfloat16', torch.bfloat16)):
        left = torch.ones(rows, rows, dtype=dtype, device=device)
        right = torch.ones(rows, columns, dtype=dtype, device=device)

        def product(left: torch.Tensor = left, right: torch.Tensor = right) -> torch.Tensor:
            return left @ right
        speeds[name] = 2 * rows ** 2 * columns / least(product, 30)
    source = torch.ones(numbers, device=device)
    target = torch.empty_like(source)
    speeds['copy'] = 2 * 4 * numbers / least(lambda: target.copy_(source), 15)
    return speeds


def count(call: Callable[[], object]) -> tuple[int, int]:
    """Count the operations of matrix products and the bytes of all operations of a call."""
    with FlopCounterMode(display=False) as flops:
        call()
    with ByteCounter() as moved:
        call()
    return flops.get_total_flops(), moved.total
