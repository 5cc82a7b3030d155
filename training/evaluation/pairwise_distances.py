"""Squared distances between two sets of points, a block at a time: all of them at once would fill the memory."""

from collections.abc import Iterator

import torch


def squared_distances(points: torch.Tensor, others: torch.Tensor, *, rows: int) -> Iterator[torch.Tensor]:
    """Compute ‖x − y‖² = ‖x‖² + ‖y‖² − 2x·y of every x and every y, block by block.

    Args:
        points: [N, F] float32, the x.
        others: [M, F] float32, the y.
        rows: number of points of a block.

    Yields:
        [≤ rows, M] float32, not negative, for the next points. It is one buffer: the next block overwrites it, and the
        caller may change it.
    """
    lengths = others.square().sum(dim=1)
    buffer = points.new_empty((min(rows, len(points)), len(others)))
    blocks: tuple[torch.Tensor, ...] = torch.split(points, rows)
    for block in blocks:
        squared = buffer[: len(block)]
        torch.addmm(lengths[None], block, others.T, alpha=-2, out=squared)
        squared += block.square().sum(dim=1, keepdim=True)
        yield squared.clamp_(min=0)  # rounding can make it negative if they are equal
