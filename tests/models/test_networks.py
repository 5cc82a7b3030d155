"""The networks: shapes and ranges for every kind of image, and each layer against its definition."""

import numpy as np
import pytest
import torch
from pydantic import BaseModel, ValidationError
from torch import nn

from models.architectures import Architecture
from models.conv import Conv
from models.goodfellow2014 import Dropout, Goodfellow2014, Maxout
from models.images import ImageShape
from models.metadata import Metadata
from models.mlp import MLP, initialise_like_pytorch
from models.widths import MAX_WIDTH

SMALL: list[Architecture] = [
    MLP(generator_widths=(9, 7), discriminator_widths=(5,)),
    Goodfellow2014(generator_widths=(9,), maxout_units=(5, 4)),
    Conv(generator_channels=(4, 3), discriminator_channels=(3, 4)),
]


@pytest.mark.parametrize("architecture", SMALL, ids=lambda architecture: architecture.name)
@pytest.mark.parametrize("side", [16, 17, 28, 33, 50, 63, 64])
@pytest.mark.parametrize("channels", [1, 3])
def test_shapes_and_ranges(architecture: Architecture, side: int, channels: int) -> None:
    shape = ImageShape.model_validate({"channels": channels, "height": side, "width": side})
    generator = architecture.generator(z_dim=6, image_shape=shape)
    discriminator = architecture.discriminator(image_shape=shape)
    rng = torch.Generator().manual_seed(0)
    architecture.initialise(generator, discriminator, rng=rng, pixel_means=torch.full(shape.chw, 0.5))
    images = generator(torch.randn(5, 6, generator=rng) * 10)
    assert images.shape == (5, channels, side, side)
    assert images.dtype == torch.float32
    assert images.min() >= -1
    assert images.max() <= 1
    logits = discriminator.eval()(images)
    assert logits.shape == (5,)
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize(
    "size", [{"height": 15, "width": 15}, {"height": 65, "width": 65}, {"height": 28, "width": 29}, {"channels": 2}]
)
def test_image_shapes_that_are_none(size: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        ImageShape.model_validate(size)


@pytest.mark.parametrize("width", [0, -1, MAX_WIDTH + 1])
@pytest.mark.parametrize(
    ("architecture", "name"),
    [(MLP, "discriminator_widths"), (Goodfellow2014, "maxout_units"), (Conv, "generator_channels")],
)
def test_widths_beyond_their_bounds(width: int, architecture: type[BaseModel], name: str) -> None:
    with pytest.raises(ValidationError):
        architecture.model_validate({name: (width, 8)})


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_sizes_are_those_of_the_sources() -> None:
    shape = ImageShape()
    paper = Goodfellow2014()
    assert count(paper.generator(z_dim=100, image_shape=shape)) == 101 * 1200 + 1201 * 1200 + 1201 * 784
    assert count(paper.discriminator(image_shape=shape)) == 785 * 1200 + 241 * 1200 + 241
    writeup = MLP()
    norms = 2 * (256 + 512 + 1024)
    linears = 101 * 256 + 257 * 512 + 513 * 1024 + 1025 * 784
    assert count(writeup.generator(z_dim=100, image_shape=shape)) == linears + norms
    assert count(writeup.discriminator(image_shape=shape)) == 785 * 512 + 513 * 256 + 257


def test_maxout_by_hand() -> None:
    layer = Maxout(3, 2, 4)
    x = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    weight, bias = layer.linear.weight.detach().numpy(), layer.linear.bias.detach().numpy()
    for row in range(6):
        for unit in range(2):
            pieces = [weight[unit * 4 + k] @ x[row].numpy() + bias[unit * 4 + k] for k in range(4)]
            assert layer(x)[row, unit].item() == pytest.approx(max(pieces), abs=1e-6)


def dropout(keep: float, seed: int = 0) -> Dropout:
    layer = Dropout(keep)
    layer.rng = torch.Generator().manual_seed(seed)
    return layer.train()


@pytest.mark.parametrize("keep", [0.5, 0.8, 1.0])
def test_dropout_keeps_its_share_and_its_mean(keep: float) -> None:
    kept = dropout(keep)(torch.ones(1000, 100))
    assert set(np.round(kept.unique().numpy(), 6)) <= {0.0, round(1 / keep, 6)}
    assert (kept > 0).float().mean() == pytest.approx(keep, abs=0.01)
    assert kept.mean() == pytest.approx(1, abs=0.02)


def test_dropout_draws_from_its_own_generator() -> None:
    x = torch.ones(20, 20)
    torch.manual_seed(0)
    state = torch.get_rng_state()
    assert torch.equal(dropout(0.5)(x), dropout(0.5)(x))
    assert not torch.equal(dropout(0.5)(x), dropout(0.5, seed=1)(x))
    assert torch.equal(torch.get_rng_state(), state)


def test_dropout_is_inert_in_evaluation_and_wants_its_generator_in_training() -> None:
    x = torch.randn(4, 4)
    assert torch.equal(dropout(0.5).eval()(x), x)
    with pytest.raises(RuntimeError, match=r"Dropout\.rng must be set"):
        Dropout(0.5).train()(x)


def test_the_papers_first_weights() -> None:
    shape, paper = ImageShape(), Goodfellow2014()
    generator, discriminator = paper.generator(z_dim=100, image_shape=shape), paper.discriminator(image_shape=shape)
    means = torch.rand(shape.chw, generator=torch.Generator().manual_seed(1))
    means[0, 0] = 0
    paper.initialise(generator, discriminator, rng=torch.Generator().manual_seed(0), pixel_means=means)
    for network, bound in ((generator, 0.05), (discriminator, 0.005)):
        linears = [layer for layer in network.modules() if isinstance(layer, nn.Linear)]
        for linear in linears:
            weight = linear.weight.detach()
            assert weight.abs().max() <= bound
            assert weight.std() == pytest.approx(bound / 3**0.5, rel=0.1)
        for linear in linears[:-1]:
            assert (linear.bias == 0).all()
    output = [layer for layer in generator.modules() if isinstance(layer, nn.Linear)][-1]
    torch.testing.assert_close(torch.sigmoid(output.bias.detach()), means.flatten(), atol=2e-7, rtol=1e-5)


def test_first_weights_like_pytorchs_own() -> None:
    for layer, fan_in in (
        (nn.Linear(50, 400), 50),
        (nn.Conv2d(5, 60, 4), 5 * 16),
        (nn.ConvTranspose2d(7, 50, 4), 50 * 16),
    ):
        theirs = layer.weight.detach().clone()  # as `reset_parameters` drew them
        initialise_like_pytorch(layer, torch.Generator().manual_seed(0))
        assert theirs.abs().max() == pytest.approx(fan_in**-0.5, rel=0.02)
        assert layer.weight.detach().abs().max() == pytest.approx(fan_in**-0.5, rel=0.02)
        assert layer.bias is not None
        assert layer.bias.detach().abs().max() == pytest.approx(fan_in**-0.5, rel=0.15)
        assert layer.bias.detach().abs().max() <= fan_in**-0.5


@pytest.mark.parametrize("architecture", SMALL, ids=lambda architecture: architecture.name)
def test_first_weights_follow_from_their_generator(architecture: Architecture) -> None:
    states = []
    for seed in (0, 0, 1):
        generator = architecture.generator(z_dim=6, image_shape=ImageShape())
        discriminator = architecture.discriminator(image_shape=ImageShape())
        rng = torch.Generator().manual_seed(seed)
        architecture.initialise(generator, discriminator, rng=rng, pixel_means=torch.full((1, 28, 28), 0.5))
        states.append(torch.cat([p.detach().flatten() for p in (*generator.parameters(), *discriminator.parameters())]))
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])


def test_metadata_names_every_architecture() -> None:
    for architecture in SMALL:
        field = Metadata.model_fields["architecture"]
        assert type(architecture) in field.annotation.__args__  # type: ignore[union-attr]
