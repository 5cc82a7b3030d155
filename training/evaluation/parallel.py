"""Run G or D on all cores. Each call uses one thread, so that its bits do not vary (`models.inference.tiles`)."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from models.inference.tiles import one_thread

_Value = TypeVar("_Value", bound=np.generic)
_Input = TypeVar("_Input", bound=np.generic)


def run_in_parts(network: Callable[[NDArray[_Input]], NDArray[_Value]], rows: NDArray[_Input]) -> NDArray[_Value]:
    """Compute `network(rows)` in as many parallel parts as PyTorch's operators have threads.

    Args:
        network: a Sampler or a Scorer. Its results for a row depend on that row alone, and it keeps nothing between
            calls, so all threads call the same one. (An integer network's packed weights could not be copied.)
        rows: [n, …], n ≥ 1.
    """
    workers = min(torch.get_num_threads(), len(rows))
    if workers == 1:
        return network(rows)
    with one_thread(), ThreadPoolExecutor(workers) as pool:  # a new thread inherits the number of operator threads
        return np.concatenate(list(pool.map(network, np.array_split(rows, workers))))
