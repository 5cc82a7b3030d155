"""The monitor's figures, each against an independent computation, and the images and settings that they depend on."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.images import ImageShape
from models.latents import draw_latents
from tests.training.support import make_config, make_game, tiny_images, tiny_recipe, write_npz
from training.config import RunConfig
from training.data.dataset import Dataset
from training.data.mnist import read_mnist
from training.errors import NotFiniteError
from training.evaluation.wavelets import wavelet_features
from training.gan.game import Game
from training.run import monitor as module
from training.run.monitor import IMAGES, SEED, Monitor, smallest_share

N = 60


@pytest.fixture(autouse=True)
def few_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IMAGES", N)


@pytest.fixture
def config(tmp_path: Path) -> RunConfig:
    return make_config(tiny_recipe("mlp"), write_npz(tmp_path / "data.npz"))


def dataset(*, held_out: int = 0, first: int = 0) -> Dataset:
    images = torch.from_numpy(tiny_images(100))[:, None].clone()
    images[: 100 - N] = first
    return Dataset("d", images, torch.full_like(images[:5], held_out), ImageShape(height=16, width=16))


def drawn(game: Game, n: int = N) -> NDArray[np.float64]:
    """Return the images of G's EMA for the monitor's latents, as pixels [n, 256] in 0–255."""
    z = torch.from_numpy(draw_latents(SEED, 0, n, z_dim=4, prior="normal"))
    with torch.no_grad():
        images = game.average.network(z)
    pixels: NDArray[np.float64] = ((images + 1) * 127.5).round().clamp(0, 255).flatten(1).double().numpy()
    return pixels


def frechet(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Compute the Fréchet distance by eigenvalues: tr (ΣΣ')^½ is the sum of the square roots of those of ΣΣ'."""
    c, d = np.cov(a.T), np.cov(b.T)
    roots = np.sqrt(np.linalg.eigvals(c @ d).real.clip(0)).sum()
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(c) + np.trace(d) - 2 * roots)


def coverage(real: NDArray[np.float64], fake: NDArray[np.float64], k: int = 5) -> float:
    covered = 0
    for i, point in enumerate(real):
        radius = sorted(math.dist(point, other) for j, other in enumerate(real) if j != i)[k - 1]
        covered += min(math.dist(point, sample) for sample in fake) < radius
    return covered / len(real)


def test_figures_of_pictures_without_digits(config: RunConfig):
    game, data = make_game(config.recipe), dataset()
    seen = Monitor(config, data).measure(game)
    pixels = torch.from_numpy(drawn(game)).float().view(-1, 1, 16, 16)
    real, fake = (wavelet_features(images.float() / 255).double().numpy() for images in (data.images[-N:], pixels))
    assert set(seen) == {"frechet", "precision", "recall", "density", "coverage"}
    assert seen["frechet"] == pytest.approx(frechet(real, fake), rel=1e-3)
    assert seen["coverage"] == pytest.approx(coverage(real, fake), abs=1e-5)
    assert all(figure == round(figure, 5) for figure in seen.values())


def test_figures_with_a_tone_curve_are_those_of_the_exported_grey_levels(
    config: RunConfig, monkeypatch: pytest.MonkeyPatch
):
    """A G that draws the training images with other grey levels is perfect if the export will correct them."""
    data = dataset()
    data.images.copy_(data.images // 2 * 2)
    paler = (data.images[-N:, 0] // 2 + 50).numpy()
    monkeypatch.setattr(module, "Sampler", lambda *_a, **_k: lambda _z: paler)
    game = make_game(config.recipe)
    recipe = config.recipe.model_copy(update={"tone_curve": True})
    with_curve = config.model_copy(update={"recipe": recipe})
    assert Monitor(with_curve, data).measure(game)["frechet"] == pytest.approx(0, abs=1e-4)
    assert Monitor(config, data).measure(game)["frechet"] > 1


def test_a_g_that_draws_the_training_images_is_perfect(config: RunConfig, monkeypatch: pytest.MonkeyPatch):
    data = dataset()
    monkeypatch.setattr(module, "Sampler", lambda *_a, **_k: lambda _z: data.images[-N:, 0].numpy())
    seen = Monitor(config, data).measure(make_game(config.recipe))
    assert seen["frechet"] == pytest.approx(0, abs=1e-4)
    assert (seen["precision"], seen["recall"], seen["coverage"]) == (1, 1, 1)


def test_it_is_the_average_that_is_measured(config: RunConfig):
    game, monitor = make_game(config.recipe), Monitor(config, dataset())
    before = monitor.measure(game)
    with torch.no_grad():
        for parameter in game.generator.parameters():
            parameter.mul_(3)
    assert monitor.measure(game) == before
    with torch.no_grad():
        for parameter in game.average.network.parameters():
            parameter.mul_(3)
    assert monitor.measure(game) != before


def test_held_out_images_and_the_first_training_images_have_no_say(config: RunConfig):
    game = make_game(config.recipe)
    seen = [Monitor(config, dataset(held_out=h, first=f)).measure(game) for h, f in ((0, 0), (255, 0), (0, 255))]
    assert seen[0] == seen[1] == seen[2]
    other = dataset()
    other.images[-1] = 255 - other.images[-1]
    assert Monitor(config, other).measure(game) != seen[0]


def test_measuring_changes_nothing_in_the_game(config: RunConfig):
    game = make_game(config.recipe)
    rng, state = game.rng.get_state(), torch.get_rng_state()
    before = {name: tensor.clone() for name, tensor in game.average.network.state_dict().items()}
    first, second = (Monitor(config, dataset()).measure(game) for _ in range(2))
    assert first == second
    assert torch.equal(game.rng.get_state(), rng)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(tensor, before[name]) for name, tensor in game.average.network.state_dict().items())
    assert game.generator.training
    assert game.discriminator.training


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_figure_that_is_not_finite_is_named(config: RunConfig, bad: float, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "frechet_distance", lambda _real, _fake: bad)
    with pytest.raises(
        NotFiniteError, match=f"^frechet of G's samples is {bad}: the weights of G or of its EMA are not finite"
    ):
        Monitor(config, dataset()).measure(make_game(config.recipe))


# --- Digits -------------------------------------------------------------------------------------


def test_the_rarest_digit_of_samples(config: RunConfig, monkeypatch: pytest.MonkeyPatch):
    """Take test images as G's samples, with only a few threes; the real images have no sevens."""
    from training.data.mnist import read_mnist_labels

    monkeypatch.setattr(module, "IMAGES", 300)
    images, labels = read_mnist()[1], read_mnist_labels()[1]
    real = images[:2000][labels[:2000] != 7][:300]
    fake = images[2000:4000]
    fake = np.concatenate([fake[labels[2000:4000] == 3][:5], fake[labels[2000:4000] != 3][:295]])
    data = Dataset("d", torch.from_numpy(real)[:, None], torch.from_numpy(real[:5])[:, None], ImageShape(), digits=1)
    monkeypatch.setattr(module, "Sampler", lambda *_a, **_k: lambda _z: fake)
    seen = Monitor(config, data).measure(make_game(config.recipe))
    threes = (labels[:2000][labels[:2000] != 7][:300] == 3).mean()
    assert seen["smallest_share"] == pytest.approx(5 / 300 / threes, rel=0.25)  # the classifier makes a few mistakes


Shares = Callable[[list[int], list[int]], float]


def test_smallest_share():
    def of(real: list[int], fake: list[int]) -> float:
        return smallest_share(torch.tensor(real), torch.tensor(fake), classes=4)

    assert of([0, 1, 2, 3], [3, 2, 1, 0]) == 1
    assert of([0, 0, 0, 1], [0, 1, 0, 1]) == pytest.approx((1 / 2) / (3 / 4))
    assert of([0, 1], [0, 0, 0, 3]) == 0  # class 1 is never drawn
    assert of([0, 0, 1, 1], [2, 2, 0, 1]) == pytest.approx(1 / 2)  # class 2 does not occur in the data


def test_the_numbers_that_figures_name():
    assert (IMAGES, SEED) == (5000, 1)
