"""The networks have the right shapes and ranges for every kind of image, and each layer agrees with its definition."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError
from torch import nn

from models.images import ImageShape
from models.model_folder.metadata import Metadata
from models.networks.architectures import Architecture
from models.networks.conv import Conv
from models.networks.goodfellow2014 import Goodfellow2014
from models.networks.layers import Dropout, Maxout
from models.networks.mlp import MLP, initialise_like_pytorch
from models.networks.residual import Residual
from models.networks.widths import MAX_WIDTH

SMALL: list[Architecture] = [
    MLP(generator_widths=(9, 7), discriminator_widths=(5,)),
    Goodfellow2014(generator_widths=(9,), maxout_units=(5, 4)),
    Conv(generator_channels=(4, 3), discriminator_channels=(3, 4)),
    Residual(generator_channels=2, discriminator_channels=3, discriminator_channels_max=8, group_width=2),
]


@pytest.mark.parametrize("architecture", SMALL, ids=lambda architecture: architecture.name)
@pytest.mark.parametrize("side", [*range(16, 65), 96, 127, 128])
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
    "size", [{"height": 15, "width": 15}, {"height": 129, "width": 129}, {"height": 28, "width": 29}, {"channels": 2}]
)
def test_image_shapes_that_are_none(size: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        ImageShape.model_validate(size)


@pytest.mark.parametrize("width", [0, -1, MAX_WIDTH + 1])
@pytest.mark.parametrize(
    ("architecture", "name"),
    [
        (MLP, "discriminator_widths"),
        (Goodfellow2014, "maxout_units"),
        (Conv, "generator_channels"),
        (Residual, "generator_channels"),
    ],
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


def test_tied_pieces_share_no_gradient() -> None:
    """If pieces are equal, one of them gets the whole gradient; `amax` would split it."""
    layer = Maxout(2, 1, 3)
    with torch.no_grad():
        layer.linear.weight.fill_(1)
        layer.linear.bias.zero_()
    layer(torch.ones(1, 2)).sum().backward()
    assert layer.linear.bias.grad is not None
    assert sorted(layer.linear.bias.grad.tolist()) == [0, 0, 1]


def numbers(network: nn.Module) -> dict[str, NDArray[np.float64]]:
    """Set all parameters and statistics of a network to random values, and return them in float64."""
    rng = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point():
                tensor.uniform_(0.3 if name.endswith("running_var") else -0.8, 0.8, generator=rng)
    return {name: tensor.double().numpy() for name, tensor in network.state_dict().items()}


def leaky(x: NDArray[np.float64], slope: float) -> NDArray[np.float64]:
    return np.where(x >= 0, x, slope * x)


def normalised(x: NDArray[np.float64], p: dict[str, NDArray[np.float64]], layer: int) -> NDArray[np.float64]:
    """Apply batch normalisation in evaluation mode (Ioffe & Szegedy 2015, algorithm 2) over axis 1 of x."""
    mean, var, weight, bias = (
        p[f"{layer}.{name}"].reshape(-1, *[1] * (x.ndim - 2))
        for name in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / np.sqrt(var + 1e-5) * weight + bias


def close(network: nn.Module, x: NDArray[np.float64], wanted: NDArray[np.float64]) -> None:
    with torch.no_grad():
        np.testing.assert_allclose(network.eval()(torch.from_numpy(x).float()).numpy(), wanted, rtol=1e-4, atol=1e-5)


@pytest.fixture
def x() -> NDArray[np.float64]:
    """Images in [−1, 1]."""
    return np.random.default_rng(0).uniform(-1, 1, (3, 1, 18, 18)).astype(np.float32).astype(np.float64)


@pytest.fixture
def z() -> NDArray[np.float64]:
    return np.random.default_rng(1).normal(size=(3, 6)).astype(np.float32).astype(np.float64)


TINY_SHAPE = ImageShape(height=18, width=18)


def test_mlp_by_hand(z: NDArray[np.float64], x: NDArray[np.float64]) -> None:
    architecture = MLP(generator_widths=(9, 7), discriminator_widths=(5, 4), leaky_slope=0.1)
    generator = architecture.generator(z_dim=6, image_shape=TINY_SHAPE)
    p = numbers(generator)
    h = leaky(normalised(z @ p["0.weight"].T + p["0.bias"], p, 1), 0.1)
    h = leaky(normalised(h @ p["3.weight"].T + p["3.bias"], p, 4), 0.1)
    close(generator, z, np.tanh(h @ p["6.weight"].T + p["6.bias"]).reshape(3, 1, 18, 18))
    discriminator = architecture.discriminator(image_shape=TINY_SHAPE)
    p = numbers(discriminator)
    h = leaky(x.reshape(3, -1) @ p["1.weight"].T + p["1.bias"], 0.1)
    h = leaky(h @ p["3.weight"].T + p["3.bias"], 0.1)
    close(discriminator, x, (h @ p["5.weight"].T + p["5.bias"])[:, 0])


def test_the_papers_pair_by_hand(z: NDArray[np.float64], x: NDArray[np.float64]) -> None:
    architecture = Goodfellow2014(generator_widths=(9, 7), maxout_units=(4, 3), maxout_pieces=2)
    generator = architecture.generator(z_dim=6, image_shape=TINY_SHAPE)
    p = numbers(generator)
    h = np.maximum(z @ p["0.weight"].T + p["0.bias"], 0)
    h = np.maximum(h @ p["2.weight"].T + p["2.bias"], 0)
    pixels = 1 / (1 + np.exp(-(h @ p["4.weight"].T + p["4.bias"])))  # in [0, 1]
    close(generator, z, (2 * pixels - 1).reshape(3, 1, 18, 18))
    discriminator = architecture.discriminator(image_shape=TINY_SHAPE)
    p = numbers(discriminator)
    h = (x.reshape(3, -1) + 1) / 2
    h = (h @ p["3.linear.weight"].T + p["3.linear.bias"]).reshape(3, 4, 2).max(axis=2)
    h = (h @ p["5.linear.weight"].T + p["5.linear.bias"]).reshape(3, 3, 2).max(axis=2)
    close(discriminator, x, (h @ p["7.weight"].T + p["7.bias"])[:, 0])


def convolved(x: NDArray[np.float64], weight: NDArray[np.float64], bias: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convolve with 4 × 4, stride 2 and padding 1, by the definition."""
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    side = (padded.shape[2] - 4) // 2 + 1
    y = np.empty((len(x), len(weight), side, side))
    for i, j in np.ndindex(side, side):
        y[:, :, i, j] = np.einsum("ncij,ocij->no", padded[:, :, 2 * i : 2 * i + 4, 2 * j : 2 * j + 4], weight) + bias
    return y


def spread(x: NDArray[np.float64], weight: NDArray[np.float64], *, stride: int, padding: int) -> NDArray[np.float64]:
    """Compute a transposed convolution by its definition: each input adds a multiple of the kernel to the output."""
    kernel = weight.shape[2]
    side = (x.shape[2] - 1) * stride + kernel
    y = np.zeros((len(x), weight.shape[1], side, side))
    for i, j in np.ndindex(x.shape[2:]):
        y[:, :, i * stride : i * stride + kernel, j * stride : j * stride + kernel] += np.einsum(
            "nc,coij->noij", x[:, :, i, j], weight
        )
    return y[:, :, padding : side - padding, padding : side - padding]


def test_conv_by_hand(z: NDArray[np.float64], x: NDArray[np.float64]) -> None:
    architecture = Conv(generator_channels=(4, 3), discriminator_channels=(2, 3), leaky_slope=0.1)
    generator = architecture.generator(z_dim=6, image_shape=TINY_SHAPE)
    p = numbers(generator)
    h = (z @ p["0.weight"].T + p["0.bias"]).reshape(-1, 4, 5, 5)  # a quarter of 18, rounded up
    h = np.maximum(normalised(h, p, 2), 0)
    h = spread(h, p["4.weight"], stride=2, padding=1) + p["4.bias"].reshape(-1, 1, 1)
    h = np.maximum(normalised(h, p, 5), 0)
    h = spread(h, p["7.weight"], stride=2, padding=1) + p["7.bias"].reshape(-1, 1, 1)
    assert h.shape[2:] == (20, 20)  # the next multiple of 4
    close(generator, z, np.tanh(h[:, :, 1:19, 1:19]))
    discriminator = architecture.discriminator(image_shape=TINY_SHAPE)
    p = numbers(discriminator)
    h = leaky(convolved(x, p["0.weight"], p["0.bias"]), 0.1)
    h = leaky(convolved(h, p["2.weight"], p["2.bias"]), 0.1)
    close(discriminator, x, (h.reshape(3, -1) @ p["5.weight"].T + p["5.bias"])[:, 0])


def test_the_papers_sigmoid_is_not_rounded_to_bfloat16() -> None:
    """In bfloat16 its value at 8 is 1, so that no gradient would reach G from an almost white pixel."""
    generator = Goodfellow2014(generator_widths=(4,)).generator(z_dim=2, image_shape=ImageShape())
    output = [layer for layer in generator.modules() if isinstance(layer, nn.Linear)][-1]
    with torch.no_grad():
        output.weight.zero_()
        output.bias.fill_(8)
    with torch.autocast("cpu", torch.bfloat16):
        images = generator(torch.ones(1, 2))
    assert images.dtype == torch.float32
    torch.testing.assert_close(images, torch.full_like(images, 2 / (1 + np.exp(-8)) - 1))
    images.sum().backward()
    assert output.bias.grad is not None
    assert (output.bias.grad > 0).all()


def test_dropout_stands_before_each_linear_layer_of_the_papers_discriminator() -> None:
    layers = list(Goodfellow2014().discriminator(image_shape=ImageShape()).children())
    kept = [(layer.keep, type(after)) for layer, after in pairwise(layers) if isinstance(layer, Dropout)]
    assert kept == [(0.8, Maxout), (0.5, Maxout), (0.5, nn.Linear)]


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
    with pytest.raises(RuntimeError, match=r"Dropout\.rng is None; set it to a torch\.Generator"):
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
