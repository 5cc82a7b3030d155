"""Tiles: groups of rows of a few fixed sizes. Inference computes each alone, so that a result's bits never vary.

A BLAS chooses its algorithm by the shape of a product, and the algorithm determines the order of additions and so the
rounding. The result of a row therefore depends on the number of rows in the product, though not on the other rows'
values or on the row's place. So each call is cut into tiles, the last one is padded, and one thread computes them.
Tiles of 16 rows are the reference. On some processors their bits do depend on a row's place if the product has few
columns; the option `proved` checks this. Other sizes are used if they give the same bits on this machine at the start.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch

TILE_ROWS = 16
"""Rows of the reference tile. Other sizes are used only if they give the same bits as this one."""

OTHER_TILE_ROWS = (4, 8, 32, 64)
"""Other tile sizes to try, in rows: small tiles make a single image faster, and large tiles a grid."""

PADDED_ROWS = 64
"""Largest tile that may be padded, in rows."""

PROBE_ROWS = 64


class Tiled:
    """A network that computes its rows in tiles, groups of rows of a few fixed sizes.

    Args:
        network: function [n, …] → [n, …]; each row of the result must depend only on the same row of the input.
        row_shape: shape of one row of the input.
        dtype: dtype of the input, float32 or uint8.
        tried: other tile sizes to try, in rows.
        proved: whether to check that a row has the same bits at each place of a tile of `TILE_ROWS` rows, which takes
            that many calls. If it does not, each row is computed alone.
        device: the device of the network.

    Attributes:
        sizes: the tile sizes that are used, in rows, ascending. `TILE_ROWS` is among them unless the check failed.
    """

    def __init__(
        self,
        network: Callable[[torch.Tensor], torch.Tensor],
        *,
        row_shape: tuple[int, ...],
        dtype: torch.dtype = torch.float32,
        tried: tuple[int, ...] = OTHER_TILE_ROWS,
        proved: bool = False,
        device: torch.device | str = "cpu",
    ) -> None:
        self._network = network
        self.sizes: tuple[int, ...] = (TILE_ROWS,)
        if not tried and not proved:
            return
        rng = torch.Generator().manual_seed(0)
        probe = torch.rand(max(PROBE_ROWS, *tried, 0), *row_shape, generator=rng)
        probe = (probe * 256 if dtype == torch.uint8 else probe * 2 - 1).to(device, dtype)
        with torch.inference_mode(), one_thread():
            if proved and not self._is_the_same_at_each_place(probe[:TILE_ROWS]):
                self.sizes = (1,)
                return
            right = self._in_tiles_of(TILE_ROWS, probe)
            agreeing = [rows for rows in tried if torch.equal(self._in_tiles_of(rows, probe), right)]
        self.sizes = tuple(sorted([TILE_ROWS, *agreeing]))

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the network's results for rows [n, …], n ≥ 1, in the same order: [n, …].

        Row k of the result depends only on row k of the input, bit for bit, for any n and any other rows.
        """
        results = self.each(rows)
        return results[0] if len(results) == 1 else torch.cat(results)

    def each(self, rows: torch.Tensor) -> list[torch.Tensor]:
        """Return the results for rows [n, …] in pieces, one for each tile; together the pieces are [n, …]."""
        with torch.inference_mode(), one_thread():
            if len(rows) in self.sizes:
                return [self._network(rows)]
            return [self._network(tile)[:number] for tile, number in self._cut(rows)]

    def _cut(self, rows: torch.Tensor) -> Iterator[tuple[torch.Tensor, int]]:
        """Cut rows into the largest tiles that fit; yield each with its number of real rows. Zeros pad the last one."""
        at = 0
        while (rest := len(rows) - at) > 0:
            size = next((size for size in self.sizes if size >= rest), None)
            if size is None or (size > rest and size > PADDED_ROWS):
                size = max(size for size in self.sizes if size <= rest)
            tile = rows[at : at + size]
            if size > rest:
                tile = rows.new_zeros((size, *rows.shape[1:]))
                tile[:rest] = rows[at:]
            yield tile, min(size, rest)
            at += size

    def _is_the_same_at_each_place(self, tile: torch.Tensor) -> bool:
        right = self._network(tile.clone())
        moved = (self._network(tile.roll(places, 0)).roll(-places, 0) for places in range(1, len(tile)))
        return all(torch.equal(one, right) for one in moved)

    def _in_tiles_of(self, size: int, rows: torch.Tensor) -> torch.Tensor:
        # Each tile is a copy, so that it begins at aligned memory: a BLAS may choose its algorithm by that too.
        return torch.cat([self._network(rows[at : at + size].clone()) for at in range(0, len(rows), size)])


def one_thread() -> AbstractContextManager[None]:
    """Run PyTorch's operators on one thread, because the bits of a result also depend on the number of threads."""
    before = torch.get_num_threads()
    return _ON_ONE if before == 1 else _on_one_instead_of(before)


_ON_ONE = nullcontext()


@contextmanager
def _on_one_instead_of(threads: int) -> Iterator[None]:
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
