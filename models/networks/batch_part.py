"""The rows of a batch that belong to one process, when several processes train one pair of networks."""

from typing import NamedTuple

import torch


class Part(NamedTuple):
    """A process's share of each batch. The batch is cut into groups of rows, which go to the processes in turn.

    Every process draws the random numbers of the whole batch from the same stream and keeps those of its own rows, so
    the numbers are those that a single process would have drawn. Since the processes take turns, this also holds for a
    tensor that contains two batches one after the other, such as real images and fakes.

    Attributes:
        rank: number of the process, from 0.
        world: number of processes.
        group: number of rows in a group; they stay together because a network compares them.
    """

    rank: int = 0
    world: int = 1
    group: int = 1

    def of(self, batch: torch.Tensor, *, dim: int = 0) -> torch.Tensor:
        """Return the rows of a whole batch that belong to this process, in their order.

        Args:
            batch: a tensor of any shape; its length along `dim` must be a multiple of `world` · `group`.
            dim: the dimension that holds the rows.

        Returns:
            A tensor with 1/`world` of the length along `dim`, and the other lengths of `batch`.
        """
        if self.world == 1:
            return batch
        before, after = batch.shape[:dim], batch.shape[dim + 1 :]
        groups = batch.reshape(*before, -1, self.world, self.group, *after)
        return groups.select(dim + 1, self.rank).reshape(*before, -1, *after)

    def whole(self, rows: int) -> int:
        """Return the number of rows of the whole batch, of which `rows` belong to this process."""
        return rows * self.world


WHOLE = Part()
"""The share of a process that trains alone: all rows."""
