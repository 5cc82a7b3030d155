"""Packed discriminators give one logit for each pack in training, and one for each image in evaluation."""

import numpy as np
import pytest
import torch
from torch import nn

from models.images import ImageShape
from models.networks.architectures import Architecture
from models.networks.build import build_networks
from models.networks.conv import Conv
from models.networks.goodfellow2014 import Goodfellow2014
from models.networks.layers import Dropout
from models.networks.mlp import MLP
from models.networks.packing import PackedDiscriminator, packed_shape
from models.networks.residual import Residual

WITHOUT_DROPOUT: list[Architecture] = [
    MLP(generator_widths=(9, 7), discriminator_widths=(5,)),
    Conv(generator_channels=(4, 3), discriminator_channels=(3, 4), maxout_units=(5,)),
    Residual(generator_channels=2, discriminator_channels=3, group_width=2),
]
SMALL: list[Architecture] = [*WITHOUT_DROPOUT, Goodfellow2014(generator_widths=(9,), maxout_units=(5, 4))]


def shape_of(channels: int, side: int) -> ImageShape:
    return ImageShape.model_validate({"channels": channels, "height": side, "width": side})


def packed_pair(
    architecture: Architecture, m: int, *, channels: int = 1, side: int = 16
) -> tuple[nn.Module, nn.Module]:
    shape = shape_of(channels, side)
    generator, discriminator = build_networks(architecture, z_dim=6, image_shape=shape, packing=m)
    rng = torch.Generator().manual_seed(0)
    architecture.initialise(generator, discriminator, rng=rng, pixel_means=torch.full(shape.chw, 0.5))
    for layer in discriminator.modules():
        if isinstance(layer, Dropout):
            layer.rng = torch.Generator().manual_seed(1)
    return generator, discriminator


def images(n: int, *, channels: int = 1, side: int = 16, seed: int = 0) -> torch.Tensor:
    return torch.rand(n, channels, side, side, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.mark.parametrize("architecture", SMALL, ids=lambda architecture: architecture.name)
@pytest.mark.parametrize("m", [2, 3, 4])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", [16, 28, 64])
def test_shapes_in_training_and_in_evaluation(architecture: Architecture, m: int, channels: int, side: int):
    generator, discriminator = packed_pair(architecture, m, channels=channels, side=side)
    pictures = generator(torch.randn(12, 6, generator=torch.Generator().manual_seed(2))).detach()
    assert pictures.shape == (12, channels, side, side)  # packing does not change G
    logits = discriminator.train()(pictures)
    assert logits.shape == (12 // m,)
    assert torch.isfinite(logits).all()
    logits = discriminator.eval()(pictures[:5])  # the number of images need not be a multiple of m
    assert logits.shape == (5,)
    assert torch.isfinite(logits).all()
    assert discriminator(pictures[:1]).shape == (1,)


@pytest.mark.parametrize("architecture", WITHOUT_DROPOUT, ids=lambda architecture: architecture.name)
@pytest.mark.parametrize("m", [2, 3])
@pytest.mark.parametrize("channels", [1, 3])
def test_in_evaluation_an_image_is_a_pack_of_itself(architecture: Architecture, m: int, channels: int):
    _, discriminator = packed_pair(architecture, m, channels=channels)
    x = images(4, channels=channels)
    copies = torch.stack([x[row] for row in range(4) for _ in range(m)])
    with torch.no_grad():
        np.testing.assert_allclose(
            discriminator.eval()(x).numpy(), discriminator.train()(copies).numpy(), rtol=1e-5, atol=1e-6
        )


@pytest.mark.parametrize("architecture", WITHOUT_DROPOUT, ids=lambda architecture: architecture.name)
@pytest.mark.parametrize("m", [2, 3])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_pack_is_m_rows_one_behind_the_other_and_sees_no_other_pack(
    architecture: Architecture, m: int, channels: int
):
    _, discriminator = packed_pair(architecture, m, channels=channels)
    x = images(4 * m, channels=channels).requires_grad_()
    logits = discriminator.train()(x)
    for pack in range(4):
        (gradients,) = torch.autograd.grad(logits[pack], x, retain_graph=True)
        seen = gradients.abs().flatten(1).amax(dim=1) > 0
        assert seen.nonzero().flatten().tolist() == list(range(pack * m, pack * m + m))
        # A pack's logit does not depend on other packs.
        alone = discriminator(x[pack * m : pack * m + m].detach())
        np.testing.assert_allclose(alone.detach().numpy(), logits[pack : pack + 1].detach().numpy(), atol=1e-6)


def test_in_evaluation_an_image_sees_no_other():
    _, discriminator = packed_pair(SMALL[0], 2)
    x = images(5).requires_grad_()
    (gradients,) = torch.autograd.grad(discriminator.eval()(x)[3], x)
    assert (gradients.abs().flatten(1).amax(dim=1) > 0).tolist() == [False, False, False, True, False]


class Seen(nn.Module):
    """A body that records its input."""

    def __init__(self) -> None:
        super().__init__()
        self.images = torch.empty(0)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.images = images
        return images.flatten(1).sum(dim=1)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_body_sees_one_images_channels_behind_the_others(channels: int):
    body, x = Seen(), images(6, channels=channels)
    packed = PackedDiscriminator(body, 3)
    packed.train()(x)
    assert body.images.shape == (2, 3 * channels, 16, 16)
    for pack, place, channel in np.ndindex(2, 3, channels):
        assert torch.equal(body.images[pack, place * channels + channel], x[pack * 3 + place, channel])
    packed.eval()(x)
    assert body.images.shape == (6, 3 * channels, 16, 16)
    for image, place, channel in np.ndindex(6, 3, channels):
        assert torch.equal(body.images[image, place * channels + channel], x[image, channel])


@pytest.mark.parametrize("m", [2, 3])
def test_d_can_tell_a_pack_of_equal_images_from_one_of_different_images(m: int):
    """A pack of different images and a pack of copies of one of them get different logits."""
    _, discriminator = packed_pair(SMALL[0], m)
    x = images(m)
    different = discriminator.train()(x).item()
    equal = [discriminator(x[row : row + 1].repeat(m, 1, 1, 1)).item() for row in range(m)]
    assert all(abs(different - logit) > 1e-4 for logit in equal)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_packs_shape(channels: int):
    assert packed_shape(shape_of(channels, 28), 4).chw == (4 * channels, 28, 28)


def test_without_packing_there_is_no_pack():
    for architecture in SMALL:
        _, discriminator = build_networks(architecture, z_dim=6, image_shape=ImageShape(), packing=1)
        assert not isinstance(discriminator, PackedDiscriminator)
