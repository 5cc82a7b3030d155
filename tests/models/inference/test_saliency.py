"""The explainer's gradients equal difference quotients of logits, and their bits do not depend on the batch."""

import copy

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from models.images import ImageShape
from models.inference.saliency import Explainer
from models.inference.scorer import Scorer
from models.inference.tiles import TILE_ROWS
from models.networks.architectures import Architecture
from models.networks.build import build_networks
from models.networks.conditional import ConditionalDiscriminator
from models.networks.conv import Conv
from models.networks.goodfellow2014 import Goodfellow2014
from models.networks.mlp import MLP
from models.networks.packing import PackedDiscriminator, packed_shape
from models.networks.residual import Residual

SMALL: list[Architecture] = [
    MLP(generator_widths=(9,), discriminator_widths=(24, 8), group_deviation=True),
    Goodfellow2014(generator_widths=(9,), maxout_units=(12, 8), maxout_pieces=3),
    Conv(generator_channels=(4, 3), discriminator_channels=(6, 8), maxout_units=(8,)),
    Residual(generator_channels=2, discriminator_channels=4, group_width=2),
]
GREY = ImageShape(channels=1, height=16, width=16)
RGB = ImageShape(channels=3, height=16, width=16)


def judge(architecture: Architecture, shape: ImageShape, *, classes: int = 0) -> nn.Module:
    """Make a D in evaluation mode with large weights, so that the slopes of its classes and maxout pieces differ."""
    generator, discriminator = build_networks(architecture, z_dim=12, image_shape=shape, classes=classes)
    rng = torch.Generator().manual_seed(5)
    architecture.initialise(generator, discriminator, rng=rng, pixel_means=torch.full(shape.chw, 0.13))
    with torch.no_grad():
        for parameter in discriminator.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=rng) * 0.3)
    return discriminator.eval().requires_grad_(requires_grad=False)


def pictures(shape: ImageShape, n: int) -> NDArray[np.uint8]:
    return np.random.default_rng(2).integers(0, 256, (n, *shape.array), dtype=np.uint8)


def differences(discriminator: nn.Module, image: NDArray[np.uint8], step: float = 1e-6) -> NDArray[np.float64]:
    """Return central differences of the logit, [H, W] float64; each pixel is changed in all channels at once."""
    exact = copy.deepcopy(discriminator).double()

    def logits(images: torch.Tensor) -> torch.Tensor:
        """The conditional D's own forward rounds to float32 before it combines the classes."""
        if isinstance(exact, ConditionalDiscriminator):
            return torch.logsumexp(exact.body(images), dim=1)  # up to a constant
        wanted: torch.Tensor = exact(images)
        return wanted

    x = torch.from_numpy(np.atleast_3d(image).transpose(2, 0, 1) / 127.5 - 1)
    steps = torch.eye(x[0].numel(), dtype=torch.float64).reshape(-1, 1, *x.shape[1:]) * step
    with torch.no_grad():
        slopes: NDArray[np.float64] = (
            ((logits(x + steps) - logits(x - steps)) / (2 * step)).reshape(x.shape[1:]).numpy()
        )
    return slopes


@pytest.mark.parametrize("shape", [GREY, RGB], ids=["grey", "RGB"])
@pytest.mark.parametrize("classes", [0, 10])
@pytest.mark.parametrize("architecture", SMALL, ids=lambda architecture: architecture.name)
def test_it_is_the_slope_of_the_logit(architecture: Architecture, classes: int, shape: ImageShape) -> None:
    discriminator = judge(architecture, shape, classes=classes)
    images = pictures(shape, 2)
    gradients = Explainer(discriminator, image_shape=shape)(images)
    assert gradients.dtype == np.float32
    assert gradients.shape == (2, 16, 16)
    for image, gradient in zip(images, gradients, strict=True):
        wanted = differences(discriminator, image)
        assert (wanted > 0).any()
        assert (wanted < 0).any()
        np.testing.assert_allclose(gradient, wanted, rtol=0, atol=1e-4 * np.abs(wanted).max())


def test_a_packed_discriminator_is_explained_as_it_scores() -> None:
    """In evaluation mode a pack consists of copies of one image, which all change with it."""
    discriminator = PackedDiscriminator(judge(SMALL[0], packed_shape(GREY, 3)), 3).eval()
    image = pictures(GREY, 1)
    wanted = differences(discriminator, image[0])
    gradient = Explainer(discriminator, image_shape=GREY)(image)[0]
    np.testing.assert_allclose(gradient, wanted, rtol=0, atol=1e-4 * np.abs(wanted).max())


def test_a_logit_whose_probability_is_one_still_has_its_slope() -> None:
    """σ(1e4) is 1 with slope 0, even in float64, but the logit has a slope."""
    linear = nn.Linear(256, 1).requires_grad_(requires_grad=False)
    weights = torch.linspace(-1, 1, 256)
    linear.weight.copy_(weights)
    linear.bias.fill_(1e4)
    discriminator = nn.Sequential(nn.Flatten(), linear, nn.Flatten(0))
    gradient = Explainer(discriminator, image_shape=GREY)(pictures(GREY, 1))[0]
    assert (gradient.ravel() == weights.numpy()).all()


def test_a_discriminator_that_looks_nowhere() -> None:
    discriminator = judge(SMALL[1], GREY, classes=3)
    for parameter in discriminator.parameters():
        parameter.zero_()
    assert (Explainer(discriminator, image_shape=GREY)(pictures(GREY, 3)) == 0).all()


@pytest.mark.parametrize("classes", [0, 10])
@pytest.mark.parametrize("architecture", SMALL, ids=lambda architecture: architecture.name)
def test_bits_do_not_depend_on_neighbours(architecture: Architecture, classes: int) -> None:
    explainer = Explainer(judge(architecture, RGB, classes=classes), image_shape=RGB)
    images = pictures(RGB, 40)
    together = explainer(images)
    for n in (1, 2, TILE_ROWS - 1, TILE_ROWS, TILE_ROWS + 1, 39):
        assert (explainer(images[:n]) == together[:n]).all(), n
    rng = np.random.default_rng(3)
    for _ in range(10):
        chosen = rng.choice(40, rng.integers(1, 41), replace=True)
        assert (explainer(images[chosen]) == together[chosen]).all()
    rows = np.full_like(images[:TILE_ROWS], 255)
    for position in range(TILE_ROWS):
        moved = rows.copy()
        moved[position] = images[0]
        assert (explainer(moved)[position] == together[0]).all(), position


def test_threads_and_modes_do_not_matter() -> None:
    explainer = Explainer(judge(SMALL[2], GREY), image_shape=GREY)
    images = pictures(GREY, 20)
    wanted = explainer(images)
    torch.set_num_threads(2)
    with torch.inference_mode():
        assert (explainer(images) == wanted).all()
    with torch.no_grad():
        assert (explainer(images) == wanted).all()
    assert torch.get_num_threads() == 2


def test_the_scorers_discriminator_is_shared_and_stays_as_it_is() -> None:
    discriminator = judge(SMALL[2], GREY, classes=10)
    scorer = Scorer(discriminator, image_shape=GREY)
    explainer = Explainer(scorer.discriminator, image_shape=GREY)
    images = pictures(GREY, 5)
    before = scorer(images)
    explainer(images)
    assert (scorer(images) == before).all()
    for kept, given in zip(scorer.discriminator.parameters(), discriminator.parameters(), strict=True):
        assert kept.grad is None
        assert torch.equal(kept, given)


@pytest.mark.parametrize(
    "images", [np.zeros((1, 16, 15), np.uint8), np.zeros((1, 16, 16), np.float32), np.zeros((0, 16, 16), np.uint8)]
)
def test_images_of_another_shape(images: NDArray[np.uint8]) -> None:
    with pytest.raises(ValueError, match=r"images must be \[n, 16, 16\] uint8"):
        Explainer(judge(SMALL[0], GREY), image_shape=GREY)(images)
