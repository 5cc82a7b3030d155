"""Fixed tiles: every matrix product of inference has the same number of rows, so that its bits never vary.

A BLAS picks its algorithm by the shape of the product, and with it the order in which a sum is rounded. A row's
result therefore depends on how many rows are computed beside it, though not on which rows those are nor on its own
place among them. So each call is cut into tiles of `TILE_ROWS` rows, the last one padded, on one thread.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

TILE_ROWS = 16
"""Rows of one tile. Fewer make one image quicker, more make a grid quicker; 16 costs a single image little."""


def run_in_tiles(network: Callable[[torch.Tensor], torch.Tensor], rows: torch.Tensor) -> torch.Tensor:
    """Apply `network` to `rows`, [n, …] with n ≥ 1, tile by tile: the results, [n, …], in the same order.

    Row k of the result depends on row k of the input alone, bit for bit, for any n and any neighbours.
    """
    n = rows.shape[0]
    tiles = -(-n // TILE_ROWS)
    padded = rows.new_zeros((tiles * TILE_ROWS, *rows.shape[1:]))
    padded[:n] = rows
    with torch.inference_mode(), one_thread():
        return torch.cat([network(padded[at : at + TILE_ROWS]) for at in range(0, len(padded), TILE_ROWS)])[:n]


@contextmanager
def one_thread() -> Iterator[None]:
    """PyTorch's operators on one thread: the number of threads is a part of the shape of a product."""
    before = torch.get_num_threads()
    if before == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
