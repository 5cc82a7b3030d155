"""Layers that compute the same as PyTorch's in less time."""

import pytest
import torch
from torch import nn

from models.images import ImageShape
from models.inference.quick_layers import PackedLinear, PixelwiseUpsampling, with_quick_layers
from models.inference.sampler import Sampler
from models.inference.scorer import Scorer
from models.networks.conv import Conv
from models.networks.goodfellow2014 import Goodfellow2014
from models.networks.mlp import MLP
from models.networks.residual import Residual

SHAPE = ImageShape(height=16, width=16)
ARCHITECTURES = [MLP(), Goodfellow2014(), Conv(maxout_units=(24,)), Residual()]

needs_onednn = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this PyTorch has no oneDNN")


def kinds(network: nn.Module) -> set[type[nn.Module]]:
    return {type(layer) for layer in network.modules()}


@needs_onednn
@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("rows", [1, 16, 100])
def test_it_computes_the_same(architecture: MLP | Goodfellow2014 | Conv | Residual, rows: int) -> None:
    torch.manual_seed(0)
    for made, x in (
        (architecture.generator(z_dim=20, image_shape=SHAPE, classes=3), torch.randn(rows, 20)),
        (architecture.discriminator(image_shape=SHAPE, classes=3), torch.rand(rows, *SHAPE.chw) * 2 - 1),
    ):
        network = made.eval()
        before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        quick = with_quick_layers(network)
        assert nn.Linear in kinds(network)
        assert PackedLinear in kinds(quick)
        assert not {nn.Linear, nn.ConvTranspose2d} & set(kinds(quick)) or isinstance(architecture, Conv)
        with torch.inference_mode():
            torch.testing.assert_close(quick(x), network(x), atol=1e-5, rtol=1e-4)
        assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


@needs_onednn
@pytest.mark.parametrize(("channels", "maps", "side"), [(5, 1, 4), (12, 3, 9), (32, 1, 14)])
def test_a_transposed_convolution_with_few_maps(channels: int, maps: int, side: int) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.ConvTranspose2d(channels, maps, kernel_size=4, stride=2, padding=1))
    quick = with_quick_layers(network)
    x = torch.randn(6, channels, side, side)
    assert PixelwiseUpsampling in kinds(quick)
    with torch.inference_mode():
        torch.testing.assert_close(quick(x), network(x), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("settings", [{"stride": 1}, {"padding": 0}, {"output_padding": 1}, {"groups": 2}])
def test_other_transposed_convolutions_stay(settings: dict[str, int]) -> None:
    layer = nn.ConvTranspose2d(4, 2, **({"kernel_size": 4, "stride": 2, "padding": 1} | settings))  # type: ignore[arg-type]
    x = torch.randn(2, 4, 6, 6)
    with torch.inference_mode():
        assert torch.equal(with_quick_layers(nn.Sequential(layer))(x), layer(x))


@needs_onednn
def test_only_the_packed_weights_take_memory_again() -> None:
    network = Conv(maxout_units=(24,)).discriminator(image_shape=SHAPE).eval()
    of_both = {tensor.data_ptr() for tensor in network.state_dict().values()}
    quick = with_quick_layers(network)
    shared = [name for name, tensor in quick.state_dict().items() if tensor.data_ptr() in of_both]
    assert shared
    assert len(shared) == len(quick.state_dict())


@needs_onednn
def test_a_layer_without_biases() -> None:
    layer = nn.Linear(7, 3, bias=False)
    x = torch.randn(5, 7)
    with torch.inference_mode():
        torch.testing.assert_close(with_quick_layers(nn.Sequential(layer))(x), layer(x))


@needs_onednn
def test_g_and_d_are_run_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = MLP().generator(z_dim=8, image_shape=SHAPE).eval()
    discriminator = MLP().discriminator(image_shape=SHAPE).eval()
    sampler = Sampler(generator, z_dim=8, image_shape=SHAPE)
    scorer = Scorer(discriminator, image_shape=SHAPE)
    monkeypatch.setattr(nn.Linear, "forward", lambda *_: pytest.fail("computed by PyTorch's own layer"))
    images = sampler(torch.randn(5, 8).numpy())
    assert scorer(images).shape == (5,)


def test_without_onednn_the_network_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    network = MLP().generator(z_dim=8, image_shape=SHAPE).eval()
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert with_quick_layers(network) is network


@needs_onednn
def test_without_the_operators_the_network_computes_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    network = MLP().generator(z_dim=8, image_shape=SHAPE).eval()

    def missing(*_: object) -> None:
        raise AttributeError("no such operator")

    monkeypatch.setattr(PackedLinear, "__init__", missing)
    x = torch.randn(5, 8)
    with torch.inference_mode():
        assert torch.equal(with_quick_layers(network)(x), network(x))
