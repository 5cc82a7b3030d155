"""Distances computed in blocks, and networks run in parts, give the same as all at once."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models import bundled_models_dir
from models.images import ImageShape
from models.inference.sampler import Sampler
from models.inference.scorer import Scorer
from models.latents import draw_latents
from models.model_folder.read import load_model
from tests.training.support import make_game, tiny_recipe
from training.evaluation.pairwise_distances import squared_distances
from training.evaluation.parallel import run_in_parts


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


def test_each_part_has_one_thread_and_all_share_the_network(two_threads: None):
    class Network:
        def __call__(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
            assert torch.get_num_threads() == 1
            return rows + 1

        def __deepcopy__(self, memo: object) -> "Network":
            raise NotImplementedError("Cannot access storage of OpaqueTensorImpl")  # as of packed integer weights

    np.testing.assert_array_equal(run_in_parts(Network(), np.zeros((3, 1), np.float32)), np.ones((3, 1)))


@pytest.fixture(params=[1, 2, 4])
def threads_of_operators(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize("name", ["mnist-mlp", "mnist-conv"])
def test_the_bundled_pairs_give_the_same_bytes_on_any_number_of_threads(threads_of_operators: int, name: str):
    """mnist-mlp runs in integer arithmetic if the processor supports it."""
    model = load_model(bundled_models_dir() / name)
    metadata = model.metadata
    sampler = Sampler.of_model(model)
    scorer = Scorer(model.discriminator, image_shape=metadata.image_shape)
    latents = draw_latents(5, 0, 131, z_dim=metadata.z_dim, prior=metadata.prior)
    one_by_one = np.concatenate([sampler(row[None]) for row in latents])
    images = run_in_parts(sampler, latents)
    np.testing.assert_array_equal(images, one_by_one)
    logits = np.concatenate([scorer(image[None]) for image in images])
    np.testing.assert_array_equal(run_in_parts(scorer, images), logits)
    assert torch.get_num_threads() == threads_of_operators


def test_an_error_in_a_part_is_an_error(two_threads: None):
    def fail(rows: NDArray[np.float32]) -> NDArray[np.float32]:
        raise ValueError(f"no {rows.shape}")

    with pytest.raises(ValueError, match=r"no \(2, 1\)"):
        run_in_parts(fail, np.zeros((4, 1), np.float32))
    assert torch.get_num_threads() == 2
