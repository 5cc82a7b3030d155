"""The whole chain as a newcomer meets it: the bundled models, the real process, a real socket, real digits."""

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from gan_client import Client
from harness.service import Service, running
from models import bundled_models_dir
from models.model_folder.read import load_model
from tests.app.checks import pixels, png_bytes
from training.cli.command_line import main
from training.data.mnist import read_mnist
from training.evaluation.features import extract
from training.evaluation.out_of_distribution import QUESTIONS, auroc
from training.export.export import export
from training.recipe import load_recipe

MAX_RESIDENT_BYTES = 560 * 10**6
GOOD = ["mnist-conv", "mnist-goodfellow2014-labels", "mnist-mlp"]
OF_DIGITS = sorted([*GOOD, "mnist-goodfellow2014", "mnist-writeup"])
"""The last two show what the settings of the paper and of the write-up give. The write-up's G has collapsed."""
MODELS = ["fashion", *OF_DIGITS]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("bundled")) as started:
        yield started


@pytest.fixture(scope="module")
def client(service: Service) -> httpx.Client:
    return service.client


@pytest.fixture(scope="module")
def gan(service: Service) -> Iterator[Client]:
    with Client(service.url) as client:
        yield client


@pytest.fixture(scope="module")
def digits() -> NDArray[np.uint8]:
    """Real digits that no model was trained on."""
    return read_mnist()[1][:320]


def test_bundled_models_are_there_and_whole(client: httpx.Client) -> None:
    answer = client.get("/v1/models").json()
    assert answer["default"] == "mnist-conv"
    assert [model["name"] for model in answer["models"] if model["ready"]] == MODELS
    assert all(model["ready"] for model in answer["models"])
    for name in MODELS:
        assert (bundled_models_dir() / name / "model.safetensors").stat().st_size < 10 * 10**6
        model = load_model(bundled_models_dir() / name)
        assert len(model.history.epochs) == model.metadata.epochs
        assert [entry.epoch for entry in model.timeline][0 :: len(model.timeline) - 1] == [0, model.metadata.epochs]
        assert "dirty" not in model.metadata.git_commit
        assert "dirty" not in model.card
        for part in ("python -m training fit", "minutes", "Limits", "Parzen"):
            assert part in model.card


@pytest.mark.parametrize(("name", "times"), [("mnist-conv", 2), ("mnist-mlp", 5), ("mnist-goodfellow2014-labels", 10)])
def test_bundled_models_are_as_good_as_they_should_be(name: str, times: float) -> None:
    """The figures that travel with the weights; `training evaluate` makes them again."""
    model = load_model(bundled_models_dir() / name)
    figures = model.metadata.evaluation
    assert figures["frechet"] <= times * figures["frechet_real"]
    assert figures["coverage"] >= 0.85
    assert 0.8 <= figures["smallest_share"] <= figures["largest_share"] <= 1.2
    assert min(figures[f"auroc_{kind}"] for kind in QUESTIONS) >= 0.98
    assert figures["varied_under_5"] < 0.15  # D is fair to digits of other pens and hands
    assert model.metadata.calibration.varied is not None
    assert abs(figures["auroc"] - 0.5) < 0.1  # D was not taught G by heart
    if name == "mnist-conv":
        assert figures["recall"] >= 0.85
        assert figures["precision"] >= 0.9


def test_the_model_of_clothes_names_its_classes(gan: Client) -> None:
    model = load_model(bundled_models_dir() / "fashion")
    names = ("T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
    assert (model.metadata.class_names, model.metadata.draws_digits) == (names, False)
    assert model.metadata.evaluation["precision"] >= 0.85
    assert model.metadata.evaluation["coverage"] >= 0.80
    heights = {}
    for name in ("Trouser", "Sneaker"):
        ink = gan.samples(200, seed=1, class_=name, model="fashion").images.mean(axis=0) > 40
        heights[name] = int(ink.any(axis=1).sum()) / int(ink.any(axis=0).sum())
    assert heights["Trouser"] > 1.3  # trousers are upright
    assert heights["Sneaker"] < 1  # shoes are wider than high


def test_the_papers_model_is_the_papers_game() -> None:
    model = load_model(bundled_models_dir() / "mnist-goodfellow2014")
    metadata = model.metadata
    assert (metadata.recipe, metadata.classes, metadata.judge) == ("goodfellow2014", 0, False)
    assert metadata.rules is not None
    assert (metadata.rules.loss, metadata.rules.d_steps, metadata.rules.penalties) == ("non-saturating", 1, [])
    assert metadata.optimum is not None
    assert metadata.evaluation["parzen_ll"] >= 225  # the paper has 225 ± 2


def test_the_writeups_model_is_the_writeups_game_and_has_collapsed() -> None:
    """It has the pictures of the epochs that the write-up shows."""
    model = load_model(bundled_models_dir() / "mnist-writeup")
    metadata, recipe = model.metadata, load_recipe("writeup")
    assert (metadata.recipe, metadata.epochs, metadata.classes, metadata.judge) == ("writeup", recipe.epochs, 0, False)
    assert metadata.rules is not None
    assert (metadata.rules.loss, metadata.rules.d_steps, metadata.rules.penalties) == ("non-saturating", 3, [])
    assert {0, 50, 190, 200} <= {entry.epoch for entry in model.timeline}
    assert metadata.evaluation["smallest_share"] < 0.25
    assert metadata.evaluation["largest_share"] > 2


def test_memory(service: Service) -> None:
    """Before the first projection: each model's first one keeps up to 80 MB more (docs/performance.md, "Memory")."""
    for name in MODELS:
        service.client.get(f"/v1/samples?model={name}&n=4096&padding=0")
    status = Path(f"/proc/{service.process.pid}/status")
    if not status.exists():
        pytest.skip("the system does not tell a process's memory")
    assert int(status.read_text().split("VmRSS:")[1].split()[0]) * 1024 < MAX_RESIDENT_BYTES


@pytest.mark.parametrize("name", GOOD)
def test_a_digit_that_is_asked_for_is_drawn(gan: Client, name: str) -> None:
    for digit in range(10):
        images = gan.samples(50, seed=1, digit=digit, model=name).images
        read = extract(torch.from_numpy(images)[:, None], digits=1).labels
        assert read is not None
        assert int((read == digit).sum()) >= 44, digit


@pytest.mark.parametrize(
    "name", ["mnist-mlp", *(pytest.param(name, marks=pytest.mark.slow) for name in OF_DIGITS if name != "mnist-mlp")]
)
@pytest.mark.slow
def test_own_images_and_test_digits_are_found_again(gan: Client, digits: NDArray[np.uint8], name: str) -> None:
    own = gan.samples(3, seed=21, model=name).images
    for picture, limit in [*((image, 4) for image in own), *((digit, 40) for digit in digits[:3])]:
        found = gan.project(picture, model=name, preprocess="none")
        assert found.mean_absolute < limit
        assert (gan.generate([found.latent], model=name).images[0] == found.image).all()


def test_ready_says_so(client: httpx.Client) -> None:
    answer = client.get("/readyz").json()
    assert (answer["ready"], answer["broken"]) == (True, {})


@pytest.mark.parametrize("name", MODELS)
def test_timeline_goes_from_noise_to_digits(client: httpx.Client, name: str) -> None:
    """The last picture is of the exported G: the service draws the very same pixels."""
    pictures = client.get(f"/v1/models/{name}/timeline").json()["pictures"]
    last = pixels(client.get(pictures[-1]["url"]).content)
    served = pixels(client.get(f"/v1/samples?seed=0&model={name}").content)
    assert np.abs(last.astype(int) - served).max() <= 2  # another machine, or weights stored as float16
    first = pixels(client.get(pictures[0]["url"]).content)
    assert np.abs(first.astype(int) - served).mean() > 20


@pytest.mark.parametrize("name", GOOD)
def test_samples_look_like_mnist(gan: Client, digits: NDArray[np.uint8], name: str) -> None:
    images = gan.samples(2000, seed=5, model=name).images
    assert abs(images.mean() - digits.mean()) < 6
    assert np.corrcoef(images.mean(axis=0).ravel(), read_mnist()[0].mean(axis=0).ravel())[0, 1] > 0.97
    assert images.std(axis=0).mean() > 40  # they differ from each other


@pytest.mark.parametrize("name", OF_DIGITS)
def test_real_digits_are_scored(gan: Client, digits: NDArray[np.uint8], name: str) -> None:
    scores = []
    for start in range(0, len(digits), 64):
        scores += gan.score(digits[start : start + 64], model=name, preprocess="none")
    percentiles = [score.percentile_real or 0.0 for score in scores]
    for quartile in (25, 50, 75):  # calibrated on held-out real digits: uniform
        assert np.percentile(percentiles, quartile) == pytest.approx(quartile, abs=10)
    noise = np.random.default_rng(0).integers(0, 256, (64, 28, 28), dtype=np.uint8)
    logits, noise_logits = (
        np.array([score.logit for score in some], dtype=np.float32)
        for some in (scores, gan.score(noise, model=name, preprocess="none"))
    )
    assert auroc(logits, noise_logits) > 0.95


def test_command_line_and_service_draw_the_same(client: httpx.Client, tmp_path: Path) -> None:
    assert (
        main(["sample", "mnist-conv", "--n", "9", "--seed", "7", "--first", "3", "-o", str(tmp_path / "grid.png")]) == 0
    )
    served = pixels(client.get("/v1/samples?n=9&seed=7&first=3").content)
    assert (pixels((tmp_path / "grid.png").read_bytes()) == served).all()


def test_posted_latents_of_a_real_model(gan: Client) -> None:
    samples = gan.samples(20, seed=3)
    assert (gan.generate(samples.latents[7:8]).images[0] == samples.images[7]).all()


@pytest.mark.slow
def test_trained_exported_served(tmp_path: Path, digits: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch) -> None:
    """Real MNIST trained into a model by the command line, served by another process, real digits scored."""
    monkeypatch.setattr(
        "training.export.export.export", partial(export, samples=1000)
    )  # 10,000 would be judged for a minute
    run, models = tmp_path / "run", tmp_path / "models"
    models.mkdir()
    settings = ["--set", "train_images=6000", "judge_steps=20", "metrics_every_epochs=0"]
    fit = ["fit", "mlp", "--epochs", "1", *settings, "--threads", "1", "--out", str(run)]
    assert main(fit) == 0
    assert main(["export", str(run), "--to", str(models / "mine")]) == 0
    started = time.monotonic()
    with running(tmp_path, models_dir=models) as service:
        print(f"served after {time.monotonic() - started:.1f} s")
        assert pixels(service.client.get("/v1/samples?n=4").content).max() > 0
        files = [("files", ("digit.png", png_bytes(digits[0]), "image/png"))]
        (result,) = service.client.post("/v1/score", files=files).json()["results"]
        assert 0 < result["probability"] < 1
        assert len(service.client.get("/v1/models/mine/history").json()["epochs"]) == 1
