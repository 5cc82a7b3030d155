"""Which rows of each batch are one process's, where several processes train one pair of networks."""

from typing import NamedTuple

import torch


class Part(NamedTuple):
    """A process's share of every batch: of each `world` groups of rows, the group with its own number.

    What is drawn at random for the rows of a batch is drawn for the whole batch, by the same stream in every process,
    and each keeps its own rows: they are what one process alone would have drawn for them. The groups alternate, so
    this holds as well for two batches that follow each other in one tensor, real images and fakes.

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
        """How many rows the whole batch has, of which `rows` are this process's."""
        return rows * self.world


WHOLE = Part()
"""Every row: one process alone."""
