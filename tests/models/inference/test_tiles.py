"""Tiles, sampler and scorer: the bits of a row do not depend on other rows, and pictures are rounded correctly."""

import copy
import json
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from models.errors import LatentError
from models.grids import assemble_grid, default_columns
from models.images import ImageShape, channels_first, channels_last, from_uint8, to_uint8
from models.inference.sampler import Sampler
from models.inference.scorer import Scorer
from models.inference.tiles import OTHER_TILE_ROWS, PROBE_ROWS, TILE_ROWS, Tiled, one_thread
from models.latents import MAX_LATENT, check_latents, draw_latents
from models.networks.architectures import Architecture
from models.networks.conv import Conv
from models.networks.folding import fold_batchnorm
from models.networks.goodfellow2014 import Goodfellow2014
from models.networks.mlp import MLP
from models.networks.residual import Residual, ResidualBlock

SHAPE = ImageShape()
Z_DIM = 100
ARCHITECTURES: list[Architecture] = [
    MLP(),
    Goodfellow2014(generator_widths=(150, 150), maxout_units=(40,)),
    Conv(generator_channels=(16, 8), discriminator_channels=(8, 16)),
    Residual(generator_channels=8, discriminator_channels=8, group_width=8),
]


def pair(architecture: Architecture) -> tuple[nn.Module, nn.Module]:
    """Give G and D large weights, and running statistics as after a real training."""
    generator = architecture.generator(z_dim=Z_DIM, image_shape=SHAPE)
    discriminator = architecture.discriminator(image_shape=SHAPE)
    rng = torch.Generator().manual_seed(1)
    architecture.initialise(generator, discriminator, rng=rng, pixel_means=torch.full(SHAPE.chw, 0.13))
    with torch.no_grad():
        for layer in generator.modules():
            if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
                for statistic, low, high in ((layer.running_mean, -1, 1), (layer.running_var, 0.2, 3)):
                    assert statistic is not None
                    statistic.uniform_(low, high, generator=rng)
                layer.weight.uniform_(0.5, 2, generator=rng)
                layer.bias.uniform_(-0.5, 0.5, generator=rng)
        for network in (generator, discriminator):
            for block in network.modules():
                if isinstance(block, ResidualBlock):  # its last layer is 0 before training
                    block.convolutions[-1].weight.normal_(0, 0.2, generator=rng)
    return generator.eval(), discriminator.eval()


@pytest.fixture(scope="module", params=ARCHITECTURES, ids=lambda architecture: architecture.name)
def networks(request: pytest.FixtureRequest) -> tuple[nn.Module, nn.Module]:
    return pair(request.param)


@pytest.fixture(scope="module")
def sampler(networks: tuple[nn.Module, nn.Module]) -> Sampler:
    return Sampler(networks[0], z_dim=Z_DIM, image_shape=SHAPE)


@pytest.fixture(scope="module")
def scorer(networks: tuple[nn.Module, nn.Module]) -> Scorer:
    return Scorer(networks[1], image_shape=SHAPE)


def latents(first: int, n: int, seed: int = 7) -> NDArray[np.float32]:
    return draw_latents(seed, first, n, z_dim=Z_DIM, prior="normal")


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    torch.set_num_threads(request.param)
    yield request.param
    assert torch.get_num_threads() == request.param  # no other test changed it


def test_every_row_position(sampler: Sampler, scorer: Scorer, threads: int) -> None:
    wanted = sampler(latents(0, 1))[0]
    logit = scorer(wanted[None])[0]
    others = latents(0, TILE_ROWS, seed=8)
    for position in range(TILE_ROWS):
        rows = others.copy()
        rows[position] = latents(0, 1)[0]
        images = sampler(rows)
        assert (images[position] == wanted).all(), position
        assert scorer(images)[position] == logit, position


def test_every_n(sampler: Sampler, scorer: Scorer, threads: int) -> None:
    images = sampler(latents(0, 70))
    logits = scorer(images)
    for n in range(1, 71):
        assert (sampler(latents(0, n)) == images[:n]).all(), n
        assert (scorer(images[:n]) == logits[:n]).all(), n


def test_every_first(sampler: Sampler) -> None:
    images = sampler(latents(0, 40))
    for first in range(40):
        for n in sorted({1, min(TILE_ROWS + 1, 40 - first), 40 - first}):
            assert (sampler(latents(first, n)) == images[first : first + n]).all(), (first, n)


def test_any_neighbours(sampler: Sampler, scorer: Scorer) -> None:
    rng = np.random.default_rng(3)
    images = sampler(latents(0, 40))
    logits = scorer(images)
    for _ in range(20):
        chosen = rng.choice(40, rng.integers(1, 41), replace=True)
        assert (sampler(latents(0, 40)[chosen]) == images[chosen]).all()
        assert (scorer(images[chosen]) == logits[chosen]).all()


@pytest.mark.parametrize("extreme", [0.0, MAX_LATENT, -MAX_LATENT])
def test_extreme_neighbours(sampler: Sampler, extreme: float) -> None:
    rows = np.full((TILE_ROWS, Z_DIM), extreme, dtype=np.float32)
    rows[5] = latents(0, 1)[0]
    assert (sampler(rows)[5] == sampler(latents(0, 1))[0]).all()


def test_a_posted_back_latent_gives_the_same_picture(sampler: Sampler) -> None:
    posted = check_latents(json.loads(json.dumps(latents(30, 5).tolist())), z_dim=Z_DIM)
    assert (sampler(posted) == sampler(latents(0, 40))[30:35]).all()


SIZES = sorted([TILE_ROWS, *OTHER_TILE_ROWS])


@pytest.mark.parametrize(
    ("n", "wanted"),
    [(1, [4]), (4, [4]), (5, [8]), (16, [16]), (17, [32]), (63, [64]), (64, [64]), (65, [64, 4]), (150, [64, 64, 32])],
)
def test_a_network_only_ever_sees_whole_tiles_on_one_thread(n: int, wanted: list[int]) -> None:
    seen = []

    def network(rows: torch.Tensor) -> torch.Tensor:
        seen.append((tuple(rows.shape), torch.get_num_threads(), torch.is_inference_mode_enabled()))
        return rows[:, 0] * 2

    torch.set_num_threads(2)
    tiled = Tiled(network, row_shape=(3,))
    assert tiled.sizes == tuple(SIZES)
    seen.clear()
    rows = torch.arange(n * 3, dtype=torch.float32).view(n, 3)
    assert tiled(rows).tolist() == [6.0 * k for k in range(n)]
    assert seen == [((size, 3), 1, True) for size in wanted]


@pytest.mark.parametrize(
    ("n", "wanted"),
    [(64, [64]), (65, [64, 4]), (130, [128, 4]), (200, [128, 64, 8]), (300, [256, 64]), (512, [256] * 2)],
)
def test_large_tiles_are_never_padded(n: int, wanted: list[int]) -> None:
    seen = []

    def network(rows: torch.Tensor) -> torch.Tensor:
        seen.append(len(rows))
        return rows[:, 0] * 2

    tiled = Tiled(network, row_shape=(3,), tried=(4, 8, 32, 64, 128, 256))
    seen.clear()
    rows = torch.arange(n * 3, dtype=torch.float32).view(n, 3)
    assert tiled(rows).tolist() == [6.0 * k for k in range(n)]
    assert torch.cat(tiled.each(rows)).tolist() == tiled(rows).tolist()
    assert seen == wanted * 3


@pytest.mark.parametrize("odd", [(4,), (64,), (8, 32), (4, 8, 32, 64)])
def test_sizes_whose_bits_differ_are_not_used(odd: tuple[int, ...]) -> None:
    """Imitate a BLAS that rounds one value differently, by one unit in the last place, in tiles of these sizes."""

    def network(rows: torch.Tensor) -> torch.Tensor:
        results = rows * 2 + 4
        if len(rows) in odd:
            results[-1, -1] = torch.nextafter(results[-1, -1], torch.tensor(9.0))
        return results

    tiled = Tiled(network, row_shape=(3,))
    assert tiled.sizes == tuple(size for size in SIZES if size not in odd)
    for n in (1, 5, 33, PROBE_ROWS + 1):
        rows = torch.rand(n, 3)
        assert torch.equal(tiled(rows), rows * 2 + 4), n


def test_no_other_sizes_where_none_are_tried() -> None:
    def refuse(rows: torch.Tensor) -> torch.Tensor:
        raise AssertionError("there is nothing to try")

    assert Tiled(refuse, row_shape=(3,), tried=()).sizes == (TILE_ROWS,)


def test_threads_do_not_matter(sampler: Sampler, scorer: Scorer) -> None:
    answers = []
    for count in (1, 2):
        torch.set_num_threads(count)
        images = sampler(latents(0, 33))
        answers.append((images, scorer(images)))
    assert (answers[0][0] == answers[1][0]).all()
    assert (answers[0][1] == answers[1][1]).all()


def test_raw_outputs_too(networks: tuple[nn.Module, nn.Module]) -> None:
    """This compares the float32 bits, not only the rounded pixels."""
    folded = fold_batchnorm(networks[0])
    z = torch.from_numpy(latents(0, 33))
    tiled = Tiled(folded, row_shape=(Z_DIM,))
    whole = tiled(z)
    for row in (0, 5, 16, 32):
        assert torch.equal(tiled(z[row : row + 1])[0], whole[row])


def test_folded_is_the_same_function(networks: tuple[nn.Module, nn.Module], sampler: Sampler) -> None:
    generator = networks[0]
    z = torch.from_numpy(latents(0, 64))
    with torch.no_grad():
        exact = copy.deepcopy(generator).double()(z.double())
        eager = generator(z)
        folded = fold_batchnorm(generator)(z)
    assert (folded - exact).abs().max() < 1e-5
    assert (eager - exact).abs().max() < 1e-5
    grey = (exact + 1) * 127.5
    assert (channels_first(sampler(latents(0, 64))).double() - grey).abs().max() <= 0.5 + 1e-2


def test_folding_leaves_no_batchnorm_and_its_input_alone(networks: tuple[nn.Module, nn.Module]) -> None:
    before = copy.deepcopy(networks[0].state_dict())
    folded = fold_batchnorm(networks[0])
    assert not [layer for layer in folded.modules() if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d)]
    for name, value in networks[0].state_dict().items():
        assert torch.equal(value, before[name])


def test_the_given_networks_stay_as_they_are_and_their_later_changes_outside() -> None:
    generator, discriminator = pair(ARCHITECTURES[1])
    for network in (generator, discriminator):
        network.train()  # in training mode Dropout would raise an error, since it has no generator
    sampler = Sampler(generator, z_dim=Z_DIM, image_shape=SHAPE)
    scorer = Scorer(discriminator, image_shape=SHAPE)
    images = sampler(latents(0, 3))
    logits = scorer(images)
    for network in (generator, discriminator):
        assert network.training
        assert all(parameter.requires_grad for parameter in network.parameters())
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.fill_(1)
    assert (sampler(latents(0, 3)) == images).all()
    assert (scorer(images) == logits).all()


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=lambda architecture: architecture.name)
def test_colour_comes_out_as_the_eager_networks_have_it(architecture: Architecture) -> None:
    shape = ImageShape(channels=3, height=17, width=17)
    generator = architecture.generator(z_dim=6, image_shape=shape).eval()
    discriminator = architecture.discriminator(image_shape=shape).eval()
    z = draw_latents(0, 0, 3, z_dim=6, prior="uniform")
    images = Sampler(generator, z_dim=6, image_shape=shape)(z)
    assert images.shape == (3, 17, 17, 3)
    assert images.dtype == np.uint8
    logits = Scorer(discriminator, image_shape=shape)(images)
    assert logits.shape == (3,)
    assert logits.dtype == np.float32
    with torch.no_grad():
        eager = generator(torch.from_numpy(z)).double().permute(0, 2, 3, 1)
        wanted = discriminator(torch.from_numpy(images / 127.5 - 1).float().permute(0, 3, 1, 2))
    assert np.abs(images - (eager.numpy() + 1) * 127.5).max() <= 0.5 + 1e-2
    np.testing.assert_allclose(logits, wanted.numpy(), rtol=1e-5, atol=1e-6)


def test_images_of_any_memory_layout(scorer: Scorer) -> None:
    images = np.random.default_rng(0).integers(0, 256, (6, 28, 28), dtype=np.uint8)
    wanted = scorer(images)
    frozen = images.copy()
    frozen.flags.writeable = False
    for other in (frozen, np.asfortranarray(images), images[:, ::-1].copy()[:, ::-1]):
        assert (scorer(other) == wanted).all()


def test_one_thread_gives_back_what_it_took() -> None:
    torch.set_num_threads(2)

    def fail() -> None:
        with one_thread():
            assert torch.get_num_threads() == 1
            raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        fail()
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("shape", [(0, 100), (1, 99), (1, 101), (100,)])
def test_latents_of_another_shape(sampler: Sampler, shape: tuple[int, ...]) -> None:
    with pytest.raises(LatentError, match="must have the shape"):
        sampler(np.zeros(shape, dtype=np.float32))


@pytest.mark.parametrize(
    "images", [np.zeros((1, 28, 27), np.uint8), np.zeros((1, 28, 28), np.float32), np.zeros((0, 28, 28), np.uint8)]
)
def test_images_of_another_shape(scorer: Scorer, images: NDArray[np.uint8]) -> None:
    with pytest.raises(ValueError, match=r"images must be \[n, 28, 28\] uint8"):
        scorer(images)


@pytest.mark.parametrize("shape", [(256, 1, 1), (256, 1, 1, 3)])
def test_every_level_survives_both_conversions(shape: tuple[int, ...]) -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(256, *[1] * (len(shape) - 1)) * np.ones(shape, dtype=np.uint8)
    floats = from_uint8(levels)
    assert (float(floats.min()), float(floats.max())) == (-1, 1)
    assert (to_uint8(floats) == levels).all()


def test_values_beyond_the_range_are_cut() -> None:
    assert to_uint8(torch.tensor([-3.0, -1, 0, 1, 3]).view(5, 1, 1, 1)).ravel().tolist() == [0, 0, 128, 255, 255]


def test_channels_go_and_come_back() -> None:
    rng = np.random.default_rng(0)
    for shape in ((4, 5, 5), (4, 5, 5, 3)):
        images = rng.integers(0, 256, shape, dtype=np.uint8)
        tensor = channels_first(images)
        assert tensor.shape == (4, 1 if len(shape) == 3 else 3, 5, 5)
        assert (channels_last(tensor) == images).all()
        assert tensor[2, -1, 3, 1] == images[2, 3, 1] if len(shape) == 3 else images[2, 3, 1, -1]


@pytest.mark.parametrize("n", [1, 2, 5, 9, 64])
@pytest.mark.parametrize("columns", [None, 1, 3, 100])
@pytest.mark.parametrize(("padding", "scale"), [(0, 1), (2, 1), (1, 3)])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_grid_against_a_loop(n: int, columns: int | None, padding: int, scale: int, channels: tuple[int, ...]) -> None:
    images = np.random.default_rng(0).integers(1, 256, (n, 4, 6, *channels), dtype=np.uint8)
    across = min(columns or default_columns(n), n)
    down = -(-n // across)
    wanted = np.zeros((down * (4 + padding) + padding, across * (6 + padding) + padding, *channels), dtype=np.uint8)
    for k, image in enumerate(images):
        top, left = k // across * (4 + padding) + padding, k % across * (6 + padding) + padding
        wanted[top : top + 4, left : left + 6] = image
    wanted = np.kron(wanted, np.ones((scale, scale, *[1] * len(channels)), dtype=np.uint8))
    assert (assemble_grid(images, columns=columns, padding=padding, scale=scale) == wanted).all()


def test_default_columns_are_the_squarest() -> None:
    for n in range(1, 500):
        columns = default_columns(n)
        assert (columns - 1) ** 2 < n <= columns**2


def test_a_network_whose_rows_depend_on_their_place_computes_each_alone() -> None:
    def placed(rows: torch.Tensor) -> torch.Tensor:
        """Imitate a processor on which the last rows of a tile get slightly different results."""
        return torch.cat([rows[:12] * 2, rows[12:] * 2.000001])

    unproved = Tiled(placed, row_shape=(3,), tried=())
    proved = Tiled(placed, row_shape=(3,), tried=(4, 8), proved=True)
    assert (unproved.sizes, proved.sizes) == ((TILE_ROWS,), (1,))
    rows = torch.rand(20, 3)
    assert torch.equal(proved(rows), rows * 2)
    assert not torch.equal(unproved(rows), rows * 2)
    assert Tiled(lambda rows: rows * 2, row_shape=(3,), tried=(), proved=True).sizes == (TILE_ROWS,)
