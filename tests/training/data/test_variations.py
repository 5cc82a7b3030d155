"""Variations of digits: shape, range and repetition, and that they are still the same digits, drawn by other pens."""

import numpy as np
import pytest
import torch

from training.data.mnist import read_mnist, read_mnist_labels
from training.data.variations import _signed_distance, vary, vary_all
from training.evaluation.classifier import accuracy, load_classifier


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def digits() -> torch.Tensor:
    """Return real digits: [1500, 1, 28, 28] uint8."""
    return torch.from_numpy(read_mnist()[1][:1500].copy())[:, None]


@pytest.fixture(scope="module")
def varied(digits: torch.Tensor) -> torch.Tensor:
    return vary_all(digits, seed=5)


@pytest.mark.parametrize("side", [16, 17, 28, 32, 64])
@pytest.mark.parametrize("n", [1, 9])
def test_shape_range_and_repetition(n: int, side: int):
    images = torch.rand(n, 1, side, side, generator=seeded(9)) * 2 - 1
    before, state = images.clone(), torch.get_rng_state()
    one, again, other = (vary(images, seeded(seed)) for seed in (1, 1, 2))
    assert one.shape == images.shape
    assert one.dtype == torch.float32
    assert float(one.min()) >= -1 - 1e-6
    assert float(one.max()) <= 1 + 1e-6
    grey = (one + 1) * 127.5
    assert torch.allclose(grey, grey.round(), atol=1e-3)
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert torch.equal(images, before)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("grey", [-1.0, 1.0, 0.0])
def test_a_plain_picture_gives_finite_pixels(grey: float):
    images = vary(torch.full((20, 1, 28, 28), grey), seeded())
    assert bool(torch.isfinite(images).all())
    if grey == -1:
        assert torch.equal(images, torch.full((20, 1, 28, 28), -1.0))


def test_all_are_varied_once_by_the_seed(digits: torch.Tensor, varied: torch.Tensor):
    assert varied.shape == digits.shape
    assert varied.dtype == torch.uint8
    assert torch.equal(vary_all(digits[:300], seed=5), varied[:300])
    assert not torch.equal(vary_all(digits[:300], seed=6), varied[:300])
    assert len(vary_all(digits[:0], seed=5)) == 0


def test_they_are_still_the_same_digits(digits: torch.Tensor, varied: torch.Tensor):
    labels = torch.from_numpy(read_mnist_labels()[1][: len(digits)].astype(np.int64))
    assert accuracy(load_classifier(), varied, labels) >= 0.97
    assert float((varied.float() - digits.float()).abs().mean()) > 10  # and not the same pictures


def test_they_differ_in_width_strength_and_edges_more_than_mnist(digits: torch.Tensor, varied: torch.Tensor):
    """Thin and thick strokes, pale and dark ink, hard and soft edges: each spreads farther on both sides, or one."""

    def spread(images: torch.Tensor) -> dict[str, np.ndarray]:
        ink = images.float().flatten(1) / 255
        edges = ((ink > 0.1) & (ink < 0.9)).float().sum(dim=1) / (ink > 0.1).float().sum(dim=1)
        facts = {"ink": ink.sum(dim=1), "strength": ink.amax(dim=1), "edges": edges}
        return {name: np.quantile(values.numpy(), [0.02, 0.98]) for name, values in facts.items()}

    before, after = spread(digits), spread(varied)
    assert after["ink"][0] < 1.1 * before["ink"][0]
    assert after["strength"][0] < 0.85
    assert before["strength"][0] > 0.95
    assert after["edges"][0] < 0.6 * before["edges"][0]
    assert after["edges"][1] > before["edges"][1]


def test_their_ink_stays_in_the_middle(varied: torch.Tensor):
    """The centre of mass is within 1.6 pixels of the middle in both directions, and the ink seldom meets the edge."""
    ink = varied[:, 0].double()
    total = ink.sum(dim=(1, 2))
    at = torch.arange(28) + 0.5
    for dim in (1, 2):
        centre = (ink.sum(dim=dim) * at).sum(dim=1) / total
        assert float((centre - 14).abs().max()) < 1.6
    frame = torch.cat([ink[:, 0], ink[:, -1], ink[:, :, 0], ink[:, :, -1]], dim=1)
    assert float((frame.amax(dim=1) > 128).double().mean()) < 0.01


def test_the_distance_to_the_edge_against_brute_force():
    mask = torch.rand(3, 1, 12, 11, generator=seeded(3)) < 0.3
    mask = torch.nn.functional.max_pool2d(mask.float(), 3, stride=1, padding=1) > 0
    found = _signed_distance(mask)
    for picture, distances in zip(mask[:, 0].numpy(), found[:, 0].numpy(), strict=True):
        ink, paper = np.argwhere(picture), np.argwhere(~picture)
        for row, column in np.ndindex(*picture.shape):
            others, sign = (paper, 1) if picture[row, column] else (ink, -1)
            nearest = np.sqrt(((others - (row, column)) ** 2).sum(axis=1)).min()
            assert distances[row, column] == pytest.approx(sign * (min(nearest, 7) - 0.5), abs=1e-5)
