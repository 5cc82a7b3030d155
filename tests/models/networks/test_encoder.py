"""The encoder: its sizes, its shape, and its place in the metadata."""

import pytest
import torch
from pydantic import ValidationError

from models.images import ImageShape
from models.networks.encoder import Encoder
from models.networks.widths import MAX_WIDTH

SHAPES = [ImageShape(), ImageShape(height=16, width=16), ImageShape(channels=3, height=64, width=64)]


@pytest.mark.parametrize("shape", SHAPES)
def test_small_whatever_the_images(shape: ImageShape) -> None:
    network = Encoder.for_images(shape).network(z_dim=100, image_shape=shape)
    assert 50_000 < sum(parameter.numel() for parameter in network.parameters()) < 500_000


def test_as_wide_as_it_says() -> None:
    assert Encoder.for_images(ImageShape()).widths == (256, 256)
    network = Encoder(widths=(7, 5)).network(z_dim=3, image_shape=ImageShape())
    shapes = {name: list(tensor.shape) for name, tensor in network.state_dict().items()}
    assert [shape for name, shape in shapes.items() if name.endswith("weight")] == [[7, 784], [5, 7], [3, 5]]


@pytest.mark.parametrize("shape", SHAPES)
def test_images_in_latents_out(shape: ImageShape) -> None:
    network = Encoder(widths=(4,)).network(z_dim=6, image_shape=shape)
    assert network(torch.zeros(5, *shape.chw)).shape == (5, 6)


def test_by_hand() -> None:
    """One hidden unit for each sign computes v·leaky(w·x)."""
    shape = ImageShape(height=16, width=16)
    network = Encoder(widths=(2,), leaky_slope=0.5).network(z_dim=1, image_shape=shape)
    for parameter in network.parameters():
        torch.nn.init.zeros_(parameter)
    with torch.no_grad():
        network.get_parameter("1.weight")[:, 0] = torch.tensor([2.0, -2.0])
        network.get_parameter("3.weight")[:] = torch.tensor([[1.0, 10.0]])
    image = torch.zeros(1, *shape.chw)
    image[0, 0, 0, 0] = 0.25
    assert float(network(image).detach()) == 0.5 + 10 * 0.5 * -0.5


@pytest.mark.parametrize("widths", [(), (0,), (MAX_WIDTH + 1,), (8,) * 9])
def test_sizes_out_of_range(widths: tuple[int, ...]) -> None:
    with pytest.raises(ValidationError, match="widths"):
        Encoder(widths=widths)
