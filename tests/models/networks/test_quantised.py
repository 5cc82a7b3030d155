"""The quantised G, computed in float32 and in integers."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from harness.tiny_models import TINY_MLP, make_tiny_model_folder
from models.errors import TensorRangeError
from models.images import ImageShape, to_uint8
from models.inference.integer_generator import in_integers
from models.inference.sampler import Sampler
from models.latents import draw_latents
from models.model_folder.read import load_model
from models.networks.build import build_networks
from models.networks.conditional import Ballots
from models.networks.conv import CentreCrop, Conv
from models.networks.goodfellow2014 import Goodfellow2014
from models.networks.mlp import MLP
from models.networks.quantised import (
    Quantised,
    QuantisedConvTranspose2d,
    QuantisedLinear,
    check_quantised,
    quantise,
    quantised_like,
)
from tests.models.support import with_tensors, write_again

SHAPE = ImageShape(height=16, width=16)
Z_DIM = 20
HAS_INTEGER_PRODUCTS = torch.cpu._is_vnni_supported()


def latents(n: int, *, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(draw_latents(seed, 0, n, z_dim=Z_DIM, prior="normal"))


def trained_like(
    architecture: MLP | Goodfellow2014 | Conv, *, classes: int = 0, shape: ImageShape = SHAPE
) -> nn.Module:
    """Make a G whose batch normalisation has statistics, and whose weights differ in size."""
    torch.manual_seed(0)
    generator = architecture.generator(z_dim=Z_DIM, image_shape=shape, classes=classes)
    generator.train()
    for seed in range(5):
        generator(latents(256, seed=seed))
    return generator.eval()


@pytest.fixture(params=["mlp", "conditional mlp", "goodfellow2014", "conv", "conditional conv without layers before"])
def generator(request: pytest.FixtureRequest) -> nn.Module:
    match request.param:
        case "goodfellow2014":
            return trained_like(Goodfellow2014(generator_widths=(96, 128)))
        case "conv":
            return trained_like(Conv(generator_widths=(96,), generator_channels=(24, 12)))
        case "conditional conv without layers before":
            return trained_like(Conv(generator_channels=(8, 4), batch_normalisation=False), classes=4)
    return trained_like(MLP(generator_widths=(64, 128)), classes=4 if "conditional" in request.param else 0)


def quantise_alone(layer: nn.Module, inputs: torch.Tensor) -> Quantised:
    (quantised,) = quantise(nn.Sequential(layer), inputs)
    assert isinstance(quantised, Quantised)
    return quantised


@pytest.fixture
def quantised(generator: nn.Module) -> nn.Sequential:
    return quantise(generator, latents(2048, seed=9))


def test_its_pictures_are_those_of_the_float_one(generator: nn.Module, quantised: nn.Sequential) -> None:
    before = copy.deepcopy(generator.state_dict())
    with torch.no_grad():
        difference = (quantised(latents(200)) - generator(latents(200))).abs()
    assert difference.mean() < 0.01
    assert 0 < difference.max() < 0.2
    assert all(torch.equal(before[name], tensor) for name, tensor in generator.state_dict().items())
    floats = nn.BatchNorm1d | nn.BatchNorm2d | nn.Linear | nn.ConvTranspose2d
    assert not any(isinstance(layer, floats) for layer in quantised.modules())


def test_its_sums_are_exact_in_any_order(quantised: nn.Sequential) -> None:
    """A row alone, in a batch, on two threads and in float64 give the same bits."""
    rows = latents(37)
    layer = next(layer for layer in quantised if isinstance(layer, QuantisedLinear))
    steps = (rows * (1 / layer.input_scale) + layer.zero_point).clamp(0, 255).round() - layer.zero_point
    exact = steps.double() @ layer.weight.double().T
    assert torch.equal(exact.float().double(), exact)
    assert torch.equal(exact, exact.round())
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        two = layer(rows)
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(two, layer(rows))
    assert torch.equal(torch.cat([layer(row[None]) for row in rows]), two)


def test_the_gradient_passes_through_the_rounding(generator: nn.Module, quantised: nn.Sequential) -> None:
    def gradient(network: nn.Module) -> torch.Tensor:
        z = latents(16).requires_grad_()
        network(z).square().sum().backward()
        assert z.grad is not None
        return z.grad.flatten()

    assert torch.cosine_similarity(gradient(generator), gradient(quantised), dim=0) > 0.98


def test_beyond_the_range_it_was_shown_an_input_is_clamped() -> None:
    layer = nn.Linear(1, 1)
    quantised = quantise_alone(layer, torch.tensor([[-1.0], [3.0]]))
    assert float(quantised.zero_point) == 64
    reach = quantised(torch.tensor([[-9.0], [-1.0], [3.0], [9.0]]))
    assert torch.equal(reach[:2], reach[[1, 1]])
    assert torch.equal(reach[2:], reach[[2, 2]])
    assert torch.equal(quantised(torch.zeros(1, 1))[0], layer.bias)


def test_the_skeleton_takes_what_quantise_gives(generator: nn.Module, quantised: nn.Sequential) -> None:
    skeleton = quantised_like(generator)
    skeleton.load_state_dict(quantised.state_dict())
    assert torch.equal(skeleton.eval()(latents(5)), quantised(latents(5)))


def test_networks_are_built_quantised() -> None:
    architecture = MLP(generator_widths=(8,), discriminator_widths=(8,))
    generator, _ = build_networks(architecture, z_dim=Z_DIM, image_shape=SHAPE, classes=3, quantised=True)
    assert [type(layer) for layer in generator.children()][:3] == [Ballots, QuantisedLinear, nn.LeakyReLU]


def test_the_sums_of_a_transposed_convolution_are_those_of_each_parity() -> None:
    """Each pixel of the result adds 2 × 2 of the kernel's 4 × 4 places for each map, wherever in the image it lies."""
    layer = QuantisedConvTranspose2d(40, 1)
    layer.weight[:, :, 1, 2] = 127.0
    assert layer.summands(layer.weight).sum(dim=2).tolist() == [[0, 0, 40 * 127, 0]]
    layer.weight.fill_(127.0)
    assert layer.summands(layer.weight).sum(dim=2).tolist() == [[4 * 40 * 127] * 4]
    layer.check()
    assert float(layer(torch.full((1, 40, 3, 3), 255.0)).max()) == 4 * 40 * 127 * 255
    wide = QuantisedConvTranspose2d(130, 1)
    wide.weight.fill_(127.0)
    with pytest.raises(ValueError, match="a sum of its products could reach"):
        wide.check()


def test_a_wide_transposed_convolution_takes_smaller_whole_numbers() -> None:
    torch.manual_seed(0)
    layer = nn.ConvTranspose2d(300, 2, kernel_size=4, stride=2, padding=1)
    with torch.no_grad():
        layer.weight[:, 0] = 1.0
        layer.weight[:, 1] = 0.01
        layer.weight[0, 1, 0, 0] = 1.0  # this unit's weights add up to little
    x = torch.rand(8, 300, 4, 4)
    with torch.no_grad():
        quantised = quantise_alone(layer, x)
        right = layer(x)
        assert (quantised(x) - right).abs().max() < 0.01 * right.abs().max()
    assert quantised.weight.abs().amax(dim=(0, 2, 3)).tolist() == [54, 127]


@pytest.mark.parametrize("layer", [QuantisedLinear(3, 2), QuantisedConvTranspose2d(3, 2)])
@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("input_scale", 0.0, "a scale is 0 or less"),
        ("weight_scale", -1.0, "a scale is 0 or less"),
        ("zero_point", 0.5, "the zero point 0.5 is not a whole number 0 … 255"),
        ("zero_point", 256.0, "the zero point 256 is not a whole number 0 … 255"),
        ("weight", 0.25, "a weight is not a whole number within ±127"),
        ("weight", -128.0, "a weight is not a whole number within ±127"),
    ],
)
def test_tensors_that_cannot_be(layer: Quantised, name: str, value: float, message: str) -> None:
    network = nn.Sequential(copy.deepcopy(layer))
    network[0].get_buffer(name).fill_(value)
    with pytest.raises(ValueError, match=f"layer 0: {message}"):
        check_quantised(network)


def test_a_layer_too_wide_to_be_exact() -> None:
    layer = QuantisedLinear(519, 2)
    layer.weight.fill_(127)
    with pytest.raises(
        ValueError, match=r"a sum of its products could reach 16,807,815; float32 is exact below 16,777,216"
    ):
        layer.check()


@pytest.mark.parametrize(("fan_in", "largest"), [(518, 127), (519, 126), (2048, 32), (8192, 8)])
def test_a_wide_layer_takes_smaller_whole_numbers(fan_in: int, largest: int) -> None:
    """Its sums stay exact: the export of a wide G failed after the whole training."""
    layer = nn.Linear(fan_in, 2)
    with torch.no_grad():
        layer.weight[0] = 1.0
        layer.weight[1] = torch.tensor([1.0, *[0.01] * (fan_in - 1)])  # this unit's weights add up to little
    x = torch.randn(500, fan_in, generator=torch.Generator().manual_seed(0))
    quantised = quantise_alone(layer, x)
    assert quantised.weight.abs().amax(dim=1).tolist() == [largest, 127]
    with torch.no_grad():
        right, seen = layer(x), quantised(x)
    assert (seen - right).abs().max() < 0.1 * right.abs().max()


def test_a_wide_g_is_quantised() -> None:
    torch.manual_seed(0)
    generator = MLP(generator_widths=(2048, 64)).generator(z_dim=4096, image_shape=SHAPE).eval()
    rows = torch.from_numpy(draw_latents(0, 0, 64, z_dim=4096, prior="normal"))
    with torch.no_grad():
        difference = (quantise(generator, rows)(rows) - generator(rows)).abs()
    assert difference.mean() < 0.01


# --- In integers --------------------------------------------------------------------------------


@pytest.mark.skipif(not HAS_INTEGER_PRODUCTS, reason="this processor has no integer products of its own")
def test_integers_give_the_same_pictures(quantised: nn.Sequential) -> None:
    network = in_integers(quantised, z_dim=Z_DIM)
    assert network is not None
    rows = latents(500) * 2
    with torch.inference_mode():
        right = to_uint8(quantised(rows)).astype(int)
        images = network.images(torch.from_numpy(network.whole(rows.numpy())))
        seen = to_uint8(images).astype(int)
        assert np.array_equal(network.in_bytes(images), seen)
    assert np.abs(right - seen).max() <= 1
    assert (right == seen).mean() > 0.9999


@pytest.mark.skipif(not HAS_INTEGER_PRODUCTS, reason="this processor has no integer products of its own")
def test_the_sampler_computes_in_integers(quantised: nn.Sequential, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every row has the same bits whatever rows are computed with it, as in float32."""
    rows = latents(700).numpy()
    together = Sampler(quantised, z_dim=Z_DIM, image_shape=SHAPE)(rows)
    sampler = Sampler(quantised, z_dim=Z_DIM, image_shape=SHAPE)
    monkeypatch.setattr(Quantised, "whole", lambda *_: pytest.fail("computed in float32"))
    for n in (1, 3, 5, 16, 17, 64, 65, 128, 200, 256, 257, 600):
        assert np.array_equal(sampler(rows[:n]), together[:n])
    assert np.array_equal(sampler(rows[7:9]), together[7:9])


@pytest.mark.skipif(not HAS_INTEGER_PRODUCTS, reason="this processor has no integer products of its own")
@pytest.mark.parametrize(("width", "rows"), [(8, 512), (2800, 512), (3000, 448), (5000, 256), (20000, 64)])
def test_the_larger_g_is_the_fewer_rows_it_takes_at_once(width: int, rows: int) -> None:
    layers = [
        QuantisedLinear(Z_DIM, width),
        nn.ReLU(),
        QuantisedLinear(width, 256),
        nn.Tanh(),
        nn.Unflatten(1, SHAPE.chw),
    ]
    network = in_integers(nn.Sequential(*layers), z_dim=Z_DIM)
    assert network is not None
    assert network.rows_at_once == rows


@pytest.mark.skipif(not HAS_INTEGER_PRODUCTS, reason="this processor has no integer products of its own")
@pytest.mark.parametrize("shape", [ImageShape(), ImageShape(channels=3, height=18, width=18)])
def test_convolutions_in_integers_give_the_same_pictures(shape: ImageShape) -> None:
    """Also in colour, of a side that is not a multiple of 4, with a zero point above 0, and of any number of rows."""
    torch.manual_seed(0)
    side = -(-shape.height // 4)
    generator = nn.Sequential(
        nn.Linear(Z_DIM, 5 * side**2),
        nn.Unflatten(1, (5, side, side)),
        nn.LeakyReLU(0.2),
        nn.ConvTranspose2d(5, 3, kernel_size=4, stride=2, padding=1),
        nn.LeakyReLU(0.2),
        nn.ConvTranspose2d(3, shape.channels, kernel_size=4, stride=2, padding=1),
        CentreCrop(shape.height),
        nn.Tanh(),
    )
    for parameter in generator.parameters():
        nn.init.normal_(parameter, std=0.2)
    quantised = quantise(generator, latents(500))
    assert all(float(layer.zero_point) > 0 for layer in quantised if isinstance(layer, Quantised))
    network = in_integers(quantised, z_dim=Z_DIM)
    assert network is not None
    rows = latents(300, seed=3)
    with torch.inference_mode():
        right = to_uint8(quantised(rows)).astype(int)
        seen = network.in_bytes(network.images(torch.from_numpy(network.whole(rows.numpy()))))
    assert seen.shape == (300, *shape.array)
    assert right.std() > 20
    assert np.abs(right - seen).max() <= 1
    assert (right == seen).mean() > 0.9999
    sampler = Sampler(quantised, z_dim=Z_DIM, image_shape=shape)
    for n in (1, 5, 16, 17, 65, 200):
        assert np.array_equal(sampler(rows[:n].numpy()), seen[:n])


def test_wrong_integer_products_are_not_used(quantised: nn.Sequential, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the processor's products saturate, the pictures differ, and G stays in float32."""
    right = Sampler(quantised, z_dim=Z_DIM, image_shape=SHAPE)(latents(8).numpy())
    monkeypatch.setattr(
        "models.inference.integer_products._Multiply.__call__", lambda self, x: self._saturated(x), raising=False
    )
    monkeypatch.setattr(
        "models.inference.integer_products._Multiply._saturated",
        lambda self, x: torch.zeros(len(x), len(self._weights[2]), dtype=self._after[2]),
        raising=False,
    )
    assert in_integers(quantised, z_dim=Z_DIM) is None
    seen = Sampler(quantised, z_dim=Z_DIM, image_shape=SHAPE)(latents(8).numpy())
    assert np.abs(seen.astype(int) - right).max() <= 1


def test_a_float_network_stays_one(generator: nn.Module) -> None:
    assert in_integers(generator, z_dim=Z_DIM) is None


def test_an_activation_that_has_no_product_stays_in_float32() -> None:
    network = nn.Sequential(
        QuantisedLinear(Z_DIM, 8), nn.Softplus(), QuantisedLinear(8, 256), nn.Unflatten(1, SHAPE.chw)
    )
    assert in_integers(network, z_dim=Z_DIM) is None


# --- In a model folder --------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", [TINY_MLP, Conv(generator_channels=(4, 4), discriminator_channels=(4, 4))])
def test_a_quantised_model_is_read_as_it_was_written(tmp_path: Path, architecture: MLP | Conv) -> None:
    model = load_model(make_tiny_model_folder(tmp_path / "tiny", architecture=architecture, quantised=True))
    assert model.metadata.quantised
    kinds = [type(layer) for layer in model.generator.modules() if isinstance(layer, Quantised)]
    assert kinds[-1] == (QuantisedConvTranspose2d if isinstance(architecture, Conv) else QuantisedLinear)
    write_again(model, tmp_path / "again")
    assert (tmp_path / "again" / "model.safetensors").read_bytes() == (model.path / "model.safetensors").read_bytes()
    in_float = make_tiny_model_folder(tmp_path / "float", architecture=architecture)
    assert b"quantised" not in (in_float / "model.safetensors").read_bytes()


def test_a_file_whose_weights_are_not_whole_is_refused(tmp_path: Path) -> None:
    path = make_tiny_model_folder(tmp_path / "tiny", quantised=True) / "model.safetensors"
    with_tensors(path, lambda tensors: tensors["generator.0.weight"].view(-1)[7].add_(0.5))
    with pytest.raises(TensorRangeError, match="layer 0: a weight is not a whole number within ±127"):
        load_model(path.parent)
