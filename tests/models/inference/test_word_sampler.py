"""Pictures from random words: the table gives the same bits as the latents do."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from models.images import ImageShape
from models.inference.input_table import CELL_BITS, UNCERTAIN, InputTable
from models.inference.integer_generator import IntegerNetwork, in_integers
from models.inference.sampler import Sampler
from models.inference.word_sampler import WordSampler
from models.latents import Prior, draw_latents, draw_words, latents_of_words
from models.networks.goodfellow2014 import Goodfellow2014
from models.networks.mlp import MLP
from models.networks.quantised import quantise

SHAPE = ImageShape(height=16, width=16)
Z_DIM = 18  # not a multiple of 4, so an image uses only a part of its counters' words
CELL = 64 - CELL_BITS
INTEGERS = pytest.mark.skipif(
    not torch.cpu._is_vnni_supported(), reason="this processor has no integer products of its own"
)


def make(kind: str, prior: Prior) -> nn.Module:
    torch.manual_seed(0)
    if kind == "goodfellow2014":
        architecture: MLP | Goodfellow2014 = Goodfellow2014(generator_widths=(40, 40))
    else:
        architecture = MLP(generator_widths=(32, 32))
    classes = 5 if kind == "conditional" else 0
    generator = architecture.generator(z_dim=Z_DIM, image_shape=SHAPE, classes=classes)
    generator.train()
    for seed in range(3):
        generator(torch.from_numpy(draw_latents(seed, 0, 256, z_dim=Z_DIM, prior=prior)))
    return generator.eval()


@pytest.fixture(params=["plain", "conditional", "goodfellow2014"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["normal", "uniform"])
def prior(request: pytest.FixtureRequest) -> Prior:
    return "normal" if request.param == "normal" else "uniform"


@pytest.fixture
def quantised(kind: str, prior: Prior) -> nn.Module:
    few = draw_latents(9, 0, 256, z_dim=Z_DIM, prior=prior)  # only a few, so that later latents exceed their range
    return quantise(make(kind, prior), torch.from_numpy(few))


@pytest.fixture
def network(quantised: nn.Module) -> IntegerNetwork:
    found = in_integers(quantised, z_dim=Z_DIM)
    assert found is not None
    return found


def around(words: NDArray[np.uint64]) -> Iterator[NDArray[np.uint64]]:
    """Arrange these words and their neighbours in rows of Z_DIM words."""
    for shift in (-2, -1, 0, 1, 2):
        near = (words.astype(object) + shift) % 2**64
        yield np.resize(np.array(near, dtype=np.uint64), (-(-len(words) // Z_DIM), Z_DIM))


@INTEGERS
def test_the_table_knows_what_the_latents_give(network: IntegerNetwork, prior: Prior) -> None:
    table = InputTable(network, prior)
    rng = np.random.default_rng(0)
    ends = np.arange(2**CELL_BITS, dtype=np.uint64) << np.uint64(CELL)
    cases = [
        rng.integers(0, 2**64, (20_000, Z_DIM), dtype=np.uint64),
        *around(ends),  # borders between cells
        *around(_steps(network, prior)),  # borders between whole numbers
    ]
    for words in cases:
        assert np.array_equal(table(words), network.whole(latents_of_words(words, prior=prior)))


@INTEGERS
def test_few_words_are_worked_out(network: IntegerNetwork, prior: Prior) -> None:
    """Most cells must be certain, or the table would save nothing; some must be uncertain, or it would be wrong."""
    table = InputTable(network, prior)
    assert 0 < (table._numbers == UNCERTAIN).mean() < 0.02


def _steps(network: IntegerNetwork, prior: Prior) -> NDArray[np.uint64]:
    """Find the last word of each whole number by bisection."""
    low = np.zeros(255, dtype=np.uint64)
    high = np.full(255, 2**64 - 1, dtype=np.uint64)
    for _ in range(64):
        middle = low + (high - low) // np.uint64(2)
        above = network.rounded(latents_of_words(middle, prior=prior)) > np.arange(255)
        high = np.where(above, middle, high)
        low = np.where(above, low, middle)
    assert (high - low <= 1).all()
    return low


@pytest.mark.parametrize("in_whole_numbers", [pytest.param(True, marks=INTEGERS), False])
def test_its_pictures_are_the_sampler_s(kind: str, prior: Prior, quantised: nn.Module, in_whole_numbers: bool) -> None:
    generator = quantised if in_whole_numbers else make(kind, prior)
    sampler = Sampler(generator, z_dim=Z_DIM, image_shape=SHAPE)
    assert (sampler.integers is not None) == in_whole_numbers
    draw = WordSampler(sampler, prior)
    assert draw.rows_at_once == sampler.rows_at_once
    whole = sampler(draw_latents(7, 0, 300, z_dim=Z_DIM, prior=prior))
    words = draw_words(7, 0, 300, z_dim=Z_DIM)
    for n in (1, 2, 3, 16, 17, 65, 128, 300):
        assert np.array_equal(draw(words[:n]), whole[:n]), n
        assert np.array_equal(draw(words[300 - n :].copy()), whole[300 - n :]), n
    assert np.array_equal(draw(words[::3]), whole[::3])
