"""What a machine can do, what a call asks of it, and how long it takes."""

from collections import defaultdict
import time

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

_PATIENCE = 15.0  # seconds after which a slow method is not timed again, once it was three times


class ByteCounter(TorchDispatchMode):
    """Count the bytes that operations read and write, as if no cache kept any."""

    def __init__(self):
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        """Run an operation; views move nothing."""
        result = function(*args, **(kwargs or {}))
        outputs = [t for t in torch.utils._pytree.tree_leaves(result) if torch.is_tensor(t)]
        inputs = [t for t in torch.utils._pytree.tree_leaves((args, kwargs))
                  if torch.is_tensor(t)]
        own = {t.untyped_storage().data_ptr() for t in inputs}
        if (outputs and not function.is_view
                and (function._schema.is_mutable
                     or any(t.untyped_storage().data_ptr() not in own for t in outputs))):
            self.total += sum(t.numel() * t.element_size() for t in inputs + outputs)
        return result


def timed(calls, repeats, title):
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
    taken = defaultdict(list)
    for turn in tqdm(range(repeats), desc=title, leave=False):
        for name, call in calls.items():
            if turn >= 3 and sum(wall for wall, _ in taken[name]) > _PATIENCE:
                continue
            wall, cpu = time.perf_counter(), time.process_time()
            call()
            taken[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    return {name: {'wall_ms': 1e3 * float(np.median([w for w, _ in pairs])),
                   'cpu_ms': 1e3 * float(np.median([c for _, c in pairs])),
                   'least_ms': 1e3 * min(w for w, _ in pairs)} for name, pairs in taken.items()}


def machine_speeds(device='cpu'):
    """Measure multiplications (flop/s) by the bits of numbers, and copying (bytes/s)."""
    cuda = torch.device(device).type == 'cuda'

    def least(call, repeats):
        def whole():
            call()
            if cuda:
                torch.cuda.synchronize(device)
        return timed({'': whole}, repeats, 'speeds')['']['least_ms'] / 1e3

    # A processor is asked for what it is given in a window, a card for the most it can do.
    rows, columns, numbers = (8192, 8192, 2 ** 28) if cuda else (1024, 64, 2 ** 24)
    speeds = {}
    for name, dtype in (('float32', torch.float32), ('bfloat16', torch.bfloat16)):
        left = torch.ones(rows, rows, dtype=dtype, device=device)
        right = torch.ones(rows, columns, dtype=dtype, device=device)
        speeds[name] = 2 * rows ** 2 * columns / least(lambda a=left, b=right: a @ b, 30)
    source = torch.ones(numbers, device=device)
    target = torch.empty_like(source)
    speeds['copy'] = 2 * 4 * numbers / least(lambda: target.copy_(source), 15)
    return speeds


def count(call):
    """Count the operations of matrix products and the bytes of all operations of a call."""
    with FlopCounterMode(display=False) as flops:
        call()
    with ByteCounter() as moved:
        call()
    return flops.get_total_flops(), moved.total
