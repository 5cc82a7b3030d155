"""Distances in blocks, and networks in parts: the same as all at once."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.images import ImageShape
from models.latents import draw_latents
from models.sampler import Sampler
from tests.training.support import make_game, tiny_recipe
from training.distances import squared_distances
from training.parallel import run_in_parts


@pytest.mark.parametrize("n", [1, 4, 5, 13])
def test_squared_distances(n: int):
    rng = np.random.default_rng(n)
    points, others = rng.normal(size=(n, 6)), rng.normal(size=(9, 6))
    wanted = ((points[:, None] - others[None]) ** 2).sum(axis=2)
    blocks = squared_distances(torch.from_numpy(points).float(), torch.from_numpy(others).float(), rows=4)
    seen = torch.cat([block.clone() for block in blocks])
    np.testing.assert_allclose(seen.numpy(), wanted, rtol=1e-4, atol=1e-5)


def test_a_block_may_be_changed_by_its_reader():
    points = torch.arange(10.0)[:, None]
    for first, block in zip((0, 4, 8), squared_distances(points, points, rows=4), strict=True):
        assert block.argmin(dim=1).tolist() == list(range(first, min(first + 4, 10)))
        block.fill_(float("nan"))


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("n", [1, 2, 33])
def test_parts_are_the_whole_bit_for_bit(two_threads: None, n: int):
    game = make_game(tiny_recipe("conv"))
    sampler = Sampler(game.generator, z_dim=4, image_shape=ImageShape(height=16, width=16))
    latents = draw_latents(5, 0, n, z_dim=4, prior="normal")
    np.testing.assert_array_equal(run_in_parts(sampler, latents), sampler(latents))
    assert torch.get_num_threads() == 2


def test_each_part_has_its_own_copy_and_one_thread(two_threads: None):
    class Counts:
        calls = 0

        def __call__(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
            self.calls += 1
            assert torch.get_num_threads() == 1
            return rows + self.calls

    counts = Counts()
    np.testing.assert_array_equal(run_in_parts(counts, np.zeros((3, 1), np.float32)), np.ones((3, 1)))
    assert counts.calls == 0


def test_an_error_in_a_part_is_an_error(two_threads: None):
    def fail(rows: NDArray[np.float32]) -> NDArray[np.float32]:
        raise ValueError(f"no {rows.shape}")

    with pytest.raises(ValueError, match=r"no \(2, 1\)"):
        run_in_parts(fail, np.zeros((4, 1), np.float32))
    assert torch.get_num_threads() == 2
