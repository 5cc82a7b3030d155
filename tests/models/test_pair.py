"""G of one architecture and D of another: each half is built and drawn as its own architecture does it."""

import pytest
import torch
from pydantic import ValidationError

from models.conv import Conv
from models.images import ImageShape
from models.mlp import MLP
from models.pair import Pair

MLP_SIZES = MLP(generator_widths=(9, 7), discriminator_widths=(5,))
CONV_SIZES = Conv(generator_channels=(4, 3), discriminator_channels=(3, 4), batch_normalisation=False)
SHAPE = ImageShape(height=16, width=16)


@pytest.mark.parametrize(("first", "second"), [(MLP_SIZES, CONV_SIZES), (CONV_SIZES, MLP_SIZES)])
@pytest.mark.parametrize("classes", [0, 3])
def test_each_half_is_its_own_architectures(first: MLP | Conv, second: MLP | Conv, classes: int):
    pair = Pair(generator_of=first, discriminator_of=second)
    generator = pair.generator(z_dim=8, image_shape=SHAPE, classes=classes)
    discriminator = pair.discriminator(image_shape=SHAPE, classes=classes)
    assert str(generator) == str(first.generator(z_dim=8, image_shape=SHAPE, classes=classes))
    assert str(discriminator) == str(second.discriminator(image_shape=SHAPE, classes=classes))
    assert discriminator(generator(torch.zeros(2, 8))).shape == (2,)


@pytest.mark.parametrize(("first", "second"), [(MLP_SIZES, CONV_SIZES), (CONV_SIZES, MLP_SIZES)])
def test_weights_are_drawn_as_each_halfs_architecture_draws_them(first: MLP | Conv, second: MLP | Conv):
    means = torch.full(SHAPE.chw, 0.5)
    pair = Pair(generator_of=first, discriminator_of=second)
    generator = pair.generator(z_dim=8, image_shape=SHAPE)
    discriminator = pair.discriminator(image_shape=SHAPE)
    pair.initialise(generator, discriminator, rng=torch.Generator().manual_seed(4), pixel_means=means)

    alone = first.generator(z_dim=8, image_shape=SHAPE)
    rng = torch.Generator().manual_seed(4)
    first.initialise(alone, torch.nn.Sequential(), rng=rng, pixel_means=means)
    other = second.discriminator(image_shape=SHAPE)
    second.initialise(torch.nn.Sequential(), other, rng=rng, pixel_means=means)
    for seen, wanted in ((generator, alone), (discriminator, other)):
        for name, tensor in seen.state_dict().items():
            assert torch.equal(tensor, wanted.state_dict()[name]), name


def test_a_pair_travels_as_json_and_knows_what_it_is_made_of():
    pair = Pair(generator_of=MLP_SIZES, discriminator_of=Conv(group_deviation=True))
    assert Pair.model_validate_json(pair.model_dump_json()) == pair
    assert pair.group_deviation
    assert not Pair(generator_of=MLP_SIZES, discriminator_of=CONV_SIZES).group_deviation
    with pytest.raises(ValidationError, match="generator_of"):
        Pair.model_validate({"name": "pair", "discriminator_of": {"name": "conv"}})
