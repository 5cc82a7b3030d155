"""The rows of each batch that belong to one process, where several processes train one pair of networks."""

from typing import NamedTuple

import torch


class Part(NamedTuple):
    """A process's share of every batch: of every `world` consecutive groups of rows, the group with its own number.

    Every process draws the random numbers of the whole batch from the same stream and keeps those of its own rows. So
    they are the numbers that a single process would have drawn. Groups of the processes alternate, so this also holds
    for a tensor with two batches one after the other, such as real images and fakes.

    Attributes:
        rank: the process's number, from 0.
        world: how many there are.
        group: rows that stay together, because a network compares them.
    """

    rank: int = 0
    world: int = 1
    group: int = 1

    def of(self, batch: torch.Tensor, *, dim: int = 0) -> torch.Tensor:
        """The rows of this process, along `dim`, whose length must be a multiple of `world` · `group`."""
        if self.world == 1:
            return batch
        before, after = batch.shape[:dim], batch.shape[dim + 1 :]
        groups = batch.reshape(*before, -1, self.world, self.group, *after)
        return groups.select(dim + 1, self.rank).reshape(*before, -1, *after)

    def whole(self, rows: int) -> int:
        """The number of rows of the whole batch, if `rows` of them belong to this process."""
        return rows * self.world


WHOLE = Part()
"""The share of a single process: every row."""
