"""The residual networks: their sides and widths, their first weights, and their layers against plain arithmetic."""

import numpy as np
import pytest
import torch
from torch import nn

from models.images import ImageShape
from models.networks.residual import Doubled, Halved, Residual, ResidualBlock, doublings, first_side


@pytest.mark.parametrize(
    ("side", "times", "first"),
    [(16, 2, 4), (17, 2, 5), (28, 2, 7), (31, 2, 8), (32, 3, 4), (63, 3, 8), (64, 4, 4), (127, 4, 8), (128, 5, 4)],
)
def test_the_depth_follows_the_side(side: int, times: int, first: int) -> None:
    assert (doublings(side), first_side(side)) == (times, first)
    shape = ImageShape(channels=3, height=side, width=side)
    architecture = Residual(generator_channels=2, discriminator_channels=3, blocks=2, full_side_blocks=1)
    for network, layer in (
        (architecture.generator(z_dim=5, image_shape=shape), Doubled),
        (architecture.discriminator(image_shape=shape), Halved),
    ):
        assert sum(isinstance(part, layer) for part in network.modules()) == times
        assert sum(isinstance(part, ResidualBlock) for part in network.modules()) == 2 * times + 1


def test_widths_double_with_each_halving_up_to_a_limit() -> None:
    shape = ImageShape(channels=3, height=64, width=64)
    architecture = Residual(
        generator_channels=6, generator_channels_max=40, discriminator_channels=8, full_side_blocks=1
    )
    generator, discriminator = (
        [block.convolutions[0].in_channels for block in network.modules() if isinstance(block, ResidualBlock)]
        for network in (
            architecture.generator(z_dim=5, image_shape=shape),
            architecture.discriminator(image_shape=shape),
        )
    )
    assert generator == [40, 40, 24, 12, 6]
    assert discriminator == [8, 16, 32, 64, 128]


@pytest.mark.parametrize(("width", "group_width", "groups"), [(32, 16, 2), (16, 16, 1), (24, 16, 1), (12, 1, 12)])
def test_groups_divide_the_channels_or_are_one(width: int, group_width: int, groups: int) -> None:
    assert ResidualBlock(width, group_width, 0.2).convolutions[1].groups == groups


def test_a_block_is_the_sum_of_its_input_and_three_convolutions() -> None:
    torch.manual_seed(0)
    block = ResidualBlock(4, 2, 0.1).double()
    x = torch.randn(2, 4, 5, 5, dtype=torch.float64)
    w1, w2, w3 = (layer.weight.detach().numpy() for layer in block.convolutions)
    b1, b2 = (layer.bias.detach().numpy() for layer in block.convolutions[:2] if layer.bias is not None)
    assert block.convolutions[2].bias is None

    def leaky(values: np.ndarray) -> np.ndarray:
        return np.where(values > 0, values, 0.1 * values)

    h = leaky(np.einsum("oc,ncyx->noyx", w1[:, :, 0, 0], x.numpy()) + b1[:, None, None])
    padded = np.pad(h, ((0, 0), (0, 0), (1, 1), (1, 1)))
    middle = np.zeros_like(h)
    for out in range(4):
        group = out // 2
        for channel in range(2):
            for row in range(3):
                for column in range(3):
                    middle[:, out] += (
                        w2[out, channel, row, column]
                        * padded[:, 2 * group + channel, row : row + 5, column : column + 5]
                    )
    middle = leaky(middle + b2[:, None, None])
    wanted = x.numpy() + np.einsum("oc,ncyx->noyx", w3[:, :, 0, 0], middle)
    np.testing.assert_allclose(block(x).detach().numpy(), wanted, rtol=1e-12, atol=1e-12)


def test_doubling_is_bilinear_interpolation() -> None:
    row = torch.tensor([0.0, 4.0, 8.0]).repeat(3, 1)[None, None]
    wanted = [0.0, 1.0, 3.0, 5.0, 7.0, 8.0]  # places at a quarter and three quarters between the pixels
    assert Doubled()(row)[0, 0].tolist() == [wanted] * 6


def test_halving_takes_means_and_rounds_the_side_up() -> None:
    maps = torch.arange(9.0).reshape(1, 1, 3, 3)
    assert Halved()(maps)[0, 0].tolist() == [[2.0, 3.5], [6.5, 8.0]]


def test_first_weights() -> None:
    shape = ImageShape(channels=3, height=32, width=32)
    architecture = Residual(generator_channels=32, discriminator_channels=32, leaky_slope=0.2)
    generator, discriminator = (
        architecture.generator(z_dim=64, image_shape=shape),
        architecture.discriminator(image_shape=shape),
    )
    rng = torch.Generator().manual_seed(0)
    architecture.initialise(generator, discriminator, rng=rng, pixel_means=torch.zeros(shape.chw))
    for network in (generator.requires_grad_(False), discriminator.requires_grad_(False)):
        blocks = [layer for layer in network.modules() if isinstance(layer, ResidualBlock)]
        assert len(blocks) == 3
        gain = (2 / 1.04) ** 0.5 * 3**-0.25
        for block in blocks:
            first, second, last = block.convolutions
            x = torch.randn(2, first.in_channels, 6, 6)
            assert torch.equal(block(x), x)
            assert not last.weight.any()
            assert float(first.weight.std() * first.in_channels**0.5) == pytest.approx(gain, rel=0.05)
            assert float(second.weight.std() * (9 * 16) ** 0.5) == pytest.approx(gain, rel=0.05)
        linear = next(layer for layer in network.modules() if isinstance(layer, nn.Linear))
        assert float(linear.weight.std() * linear.in_features**0.5) == pytest.approx(1, rel=0.1)
        assert not any(bias.any() for name, bias in network.named_parameters() if name.endswith("bias"))


def test_the_first_images_have_a_useful_range() -> None:
    for side in (16, 28, 128):
        shape = ImageShape(channels=3, height=side, width=side)
        architecture = Residual(generator_channels=4, discriminator_channels=4, generator_channels_max=32)
        networks = architecture.generator(z_dim=64, image_shape=shape), architecture.discriminator(image_shape=shape)
        rng = torch.Generator().manual_seed(1)
        architecture.initialise(*networks, rng=rng, pixel_means=torch.zeros(shape.chw))
        with torch.no_grad():
            images = networks[0](torch.randn(16, 64, generator=rng))
            logits = networks[1](images)
        assert 0.1 < float(images.std()) < 0.9
        assert 0.01 < float(logits.std()) < 3
