"""Projection finds optima that are known by other means, stays within the prior, and is reproducible."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from harness.tiny_models import make_tiny_model_folder
from models import bundled_models_dir
from models.images import ImageShape
from models.inference import projection
from models.inference.projection import PULL, Projector
from models.inference.sampler import Sampler
from models.latents import UNIFORM_BOUND, Prior, draw_latents
from models.model_folder.read import load_model
from models.networks.conditional import Ballots

SHAPE = ImageShape(height=16, width=16)
D = 6
BALL = (D + 2 * (2 * D) ** 0.5) ** 0.5


class Affine(nn.Module):
    """G(z) = A·z + b, with a fixed random A [256, D]."""

    def __init__(self, scale: float = 0.2, correlation: float = 0.5) -> None:
        super().__init__()
        rng = np.random.default_rng(0)
        columns = rng.standard_normal((256, D)) + correlation * rng.standard_normal((256, 1))
        self.a = torch.from_numpy(columns * scale).float()
        self.b = torch.from_numpy(rng.uniform(-0.3, 0.3, 256)).float()

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return (z @ self.a.T + self.b).reshape(-1, 1, 16, 16)


class Bent(nn.Module):
    """A G that gives NaN or infinity where the first coordinate is above 0, and is `Affine` elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.affine = Affine()

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        images: torch.Tensor = self.affine(z) + torch.log(-z[:, :1, None, None]) * 0
        return images


def projector(generator: nn.Module, prior: Prior = "normal", **options: object) -> Projector:
    return Projector(generator, z_dim=D, prior=prior, image_shape=SHAPE, **options)  # type: ignore[arg-type]


def some_image(seed: int = 1) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (16, 16), dtype=np.uint8)


def as_target(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Convert an image to [256] float64 in [−1, 1], by an independent formula."""
    return image.reshape(-1) / 127.5 - 1


def gradient(generator: Affine, z: NDArray[np.float32], image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the gradient of half the cost at z, in float64."""
    a, b = generator.a.double().numpy(), generator.b.double().numpy()
    slope: NDArray[np.float64] = a.T @ (a @ z + b - as_target(image)) / 256 + PULL / D * z
    return slope


def test_the_optimum_of_a_linear_generator() -> None:
    """The minimum of ‖A·z + b − x‖²/256 + PULL·‖z‖²/D is a linear system's solution."""
    generator, image = Affine(), some_image()
    a, b = generator.a.double().numpy(), generator.b.double().numpy()
    optimum = np.linalg.solve(a.T @ a / 256 + PULL / D * np.eye(D), a.T @ (as_target(image) - b) / 256)
    assert np.linalg.norm(optimum) < BALL
    found = projector(generator)(image)
    np.testing.assert_allclose(found.latent, optimum, atol=2e-4)
    assert found.latent.dtype == np.float32


def test_the_pull_settles_what_no_pixel_depends_on() -> None:
    generator = Affine()
    generator.a[:, 2] = 0
    assert abs(projector(generator)(some_image()).latent[2]) < 0.05  # float32 resolves no smaller cost


def test_a_uniform_prior_keeps_its_box() -> None:
    """Karush–Kuhn–Tucker conditions: the gradient is 0 inside the box; at a side, descent would leave the box."""
    generator, image = Affine(scale=0.02), some_image()
    latent = projector(generator, "uniform")(image).latent
    slope = gradient(generator, latent, image)
    inside = np.abs(latent) < np.float32(UNIFORM_BOUND)
    assert 0 < inside.sum() < D, "the test wants both kinds"
    assert (np.abs(latent) <= UNIFORM_BOUND).all()
    np.testing.assert_allclose(slope[inside], 0, atol=1e-5)
    assert (slope[~inside] * latent[~inside] < 0).all()


def test_a_normal_prior_keeps_its_ball() -> None:
    """On the ball's surface the negative gradient points straight outwards, to within a degree."""
    generator, image = Affine(scale=0.02, correlation=0.0), some_image()
    latent = projector(generator)(image).latent.astype(np.float64)
    slope = gradient(generator, latent.astype(np.float32), image)
    assert np.linalg.norm(latent) == pytest.approx(BALL, rel=1e-5)
    cosine = -slope @ latent / np.linalg.norm(slope) / np.linalg.norm(latent)
    assert cosine > 0.999


@pytest.mark.parametrize("prior", ["normal", "uniform"])
@pytest.mark.parametrize("channels", [1, 3])
def test_own_images_are_found_again(tmp_path: Path, prior: Prior, channels: int) -> None:
    shape = ImageShape(channels=channels, height=16, width=16)  # type: ignore[arg-type]
    model = load_model(make_tiny_model_folder(tmp_path / "tiny", prior=prior, image_shape=shape))
    sampler = Sampler(model.generator, z_dim=8, image_shape=shape)
    found = Projector(sampler.generator, z_dim=8, prior=prior, image_shape=shape)
    for image in sampler(draw_latents(5, 0, 4, z_dim=8, prior=prior)):
        assert distance(sampler(found(image).latent[None])[0], image) < 2


@pytest.mark.parametrize("prior", ["normal", "uniform"])
def test_every_class_is_found_again(tmp_path: Path, prior: Prior) -> None:
    """Ballots have almost no gradient, so a search that starts in another class stays there."""
    model = load_model(make_tiny_model_folder(tmp_path / "tiny", prior=prior, classes=4))
    sampler = Sampler(model.generator, z_dim=8, image_shape=ImageShape())
    found = Projector(sampler.generator, z_dim=8, prior=prior, image_shape=ImageShape(), classes=4)
    latents = draw_latents(5, 0, 12, z_dim=8, prior=prior)
    assert len(set(latents[:, -4:].argmax(axis=1))) == 4
    for image in sampler(latents):
        assert distance(sampler(found(image).latent[None])[0], image) < 4


def test_starts_in_as_many_classes_as_it_can() -> None:
    generator = nn.Sequential(Ballots(4), Affine())
    points = projector(generator, classes=4)._starting_points(torch.zeros(1, 1, 16, 16), 8)
    assert sorted(points[:, -4:].argmax(dim=1).tolist()) == [0, 1, 2, 3]


def test_head_starts_count() -> None:
    """If a head start makes one class certain, all starting points have this class."""
    ballots = Ballots(4)
    ballots.head_starts[1] = 100
    points = projector(nn.Sequential(ballots, Affine()), classes=4)._starting_points(torch.zeros(1, 1, 16, 16), 8)
    assert len(points) == 1


class Guess(nn.Module):
    """An encoder that always gives the same latent."""

    def __init__(self, latent: NDArray[np.float32]) -> None:
        super().__init__()
        self.latent = torch.from_numpy(latent)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        assert images.shape == (1, 1, 16, 16)
        assert images.abs().max() <= 1
        return self.latent[None]


@pytest.fixture
def no_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without steps, the result is the best starting point."""
    monkeypatch.setattr(projection, "ROUNDS", ((3, 0), (1, 0)))


@pytest.mark.usefixtures("no_steps")
def test_a_good_guess_is_taken_and_a_bad_one_is_not() -> None:
    generator = Affine()
    (right,) = draw_latents(5, 0, 1, z_dim=D, prior="normal")
    (image,) = Sampler(generator, z_dim=D, image_shape=SHAPE)(right[None])
    assert (projector(generator, encoder=Guess(right))(image).latent == right).all()
    drawn = projector(generator)(image).latent
    assert (projector(generator, encoder=Guess(-right))(image).latent == drawn).all()
    assert drawn.tolist() in draw_latents(projection.DRAWS_SEED, 0, projection.DRAWS, z_dim=D, prior="normal").tolist()


@pytest.mark.usefixtures("no_steps")
@pytest.mark.parametrize("prior", ["normal", "uniform"])
def test_a_guess_beyond_the_prior_is_brought_back(prior: Prior) -> None:
    far = np.full(D, 1000, dtype=np.float32)
    points = projector(Affine(), prior, encoder=Guess(far))._starting_points(torch.zeros(1, 1, 16, 16), 3)
    limit = UNIFORM_BOUND if prior == "uniform" else BALL / D**0.5
    np.testing.assert_allclose(points[0], np.full(D, limit), rtol=1e-6)


def test_steps_and_restarts_are_told() -> None:
    found = projector(Affine())(some_image())
    assert found.restarts == projection.ROUNDS[0][0]
    assert found.steps == sum(steps for _, steps in projection.ROUNDS)


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_the_same_every_time(tmp_path: Path, threads: Callable[[int], None]) -> None:
    """The result is the same bit for bit with another projector, with more threads, and after other projections."""
    model = load_model(make_tiny_model_folder(tmp_path / "tiny", image_shape=SHAPE, z_dim=D))
    first = projector(model.generator)(some_image()).latent
    other = projector(model.generator)
    other(some_image(2))
    threads(2)
    assert other(some_image()).latent.tobytes() == first.tobytes()
    assert torch.get_num_threads() == 2
    assert other(some_image(2)).latent.tobytes() != first.tobytes()


@pytest.mark.parametrize("seed", range(3))
def test_a_generator_that_leaves_the_numbers(seed: int) -> None:
    latent = projector(Bent())(some_image(seed)).latent
    assert np.isfinite(latent).all()
    assert latent[0] < 0


class Nothing(nn.Module):
    """A G that always gives NaN."""

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return (z.sum(dim=1) * torch.nan)[:, None, None, None].expand(-1, 1, 16, 16)


def test_a_generator_without_numbers() -> None:
    assert np.isfinite(projector(Nothing())(some_image()).latent).all()


def test_a_generator_that_does_not_listen() -> None:
    """The Jacobian of this G is 0, so only the pull matters."""
    generator = Affine()
    generator.a.zero_()
    np.testing.assert_allclose(projector(generator)(some_image()).latent, 0, atol=1e-3)


@pytest.mark.parametrize(
    "image",
    [np.zeros((16, 17), np.uint8), np.zeros((16, 16), np.float32), np.zeros((1, 16, 16), np.uint8)],
    ids=["shape", "dtype", "batch"],
)
def test_an_image_of_another_kind(image: NDArray[np.uint8]) -> None:
    with pytest.raises(ValueError, match=r"the image must be \[16, 16\] uint8, not"):
        projector(Affine())(image)


BUNDLED = sorted(path.name for path in bundled_models_dir().iterdir() if path.is_dir())


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name == "mnist-mlp" else [pytest.mark.slow]) for name in BUNDLED]
)
def test_bundled_models_find_their_own_images(name: str) -> None:
    model = load_model(bundled_models_dir() / name)
    metadata = model.metadata
    sampler = Sampler(model.generator, z_dim=metadata.z_dim, image_shape=metadata.image_shape)
    found = Projector(
        sampler.generator,
        z_dim=metadata.z_dim,
        prior=metadata.prior,
        image_shape=metadata.image_shape,
        classes=metadata.classes,
        encoder=model.encoder,
    )
    for image in sampler(draw_latents(5, 0, 2, z_dim=metadata.z_dim, prior=metadata.prior)):
        assert distance(sampler(found(image).latent[None])[0], image) < 4


def distance(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Return the mean absolute difference of two images in grey levels."""
    return float(np.abs(one.astype(float) - other).mean())


def test_own_images_of_a_quantised_g_are_found_again(tmp_path: Path) -> None:
    """The search uses the smooth G with the real weights of the quantised one."""
    model = load_model(make_tiny_model_folder(tmp_path / "tiny", quantised=True))
    sampler = Sampler(model.generator, z_dim=8, image_shape=ImageShape())
    found = Projector(sampler.generator, z_dim=8, prior="normal", image_shape=ImageShape())
    for image in sampler(draw_latents(5, 0, 4, z_dim=8, prior="normal")):
        assert distance(sampler(found(image).latent[None])[0], image) < 2
