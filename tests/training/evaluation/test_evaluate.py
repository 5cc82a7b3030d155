"""The figures of a pair, each compared with an independent computation."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.images import ImageShape, channels_first, channels_last
from models.inference.sampler import Sampler
from models.inference.scorer import Scorer
from models.latents import draw_latents
from tests.training.support import make_game, tiny_images, tiny_recipe
from training.data.dataset import Dataset
from training.data.mnist import read_mnist, read_mnist_labels
from training.data.variations import vary_all
from training.evaluation import evaluate as module
from training.evaluation.evaluate import SAMPLE_SEED, SAMPLES, VARIATIONS_SEED, evaluate
from training.evaluation.neighbours import find_nearest
from training.evaluation.out_of_distribution import QUESTIONS, auroc
from training.evaluation.parzen import ParzenEstimate


def brute_auroc(positive: NDArray[np.float32], negative: NDArray[np.float32]) -> float:
    wins = sum((p > n) + 0.5 * (p == n) for p in positive.tolist() for n in negative.tolist())
    return float(wins / len(positive) / len(negative))


@pytest.mark.parametrize("values", [3, 1000])  # many ties, few
def test_auroc(values: int):
    rng = np.random.default_rng(values)
    positive = rng.integers(0, values, 40).astype(np.float32)
    negative = rng.integers(0, values, 27).astype(np.float32)
    assert auroc(positive, negative) == pytest.approx(brute_auroc(positive, negative), rel=1e-12)


@pytest.mark.parametrize(
    ("positive", "negative", "wanted"), [([1, 2], [0, 0.5], 1.0), ([0], [1, 2], 0.0), ([3, 3], [3], 0.5)]
)
def test_auroc_at_its_ends(positive: list[float], negative: list[float], wanted: float):
    assert auroc(np.array(positive, np.float32), np.array(negative, np.float32)) == wanted


def test_the_logits_are_those_of_the_judged_images_and_of_every_kind():
    game = make_game(tiny_recipe("mlp"))
    data = small_data()
    scorer = Scorer(game.discriminator, image_shape=data.shape)
    sampler = Sampler(game.generator, z_dim=4, image_shape=data.shape)
    evaluation = evaluate(sampler, scorer, data, prior="normal", samples=30)
    samples = sampler(draw_latents(SAMPLE_SEED, 0, 30, z_dim=4, prior="normal"))
    np.testing.assert_array_equal(channels_last(evaluation.samples), samples)
    np.testing.assert_array_equal(evaluation.logits["samples"], scorer(samples))
    np.testing.assert_array_equal(evaluation.logits["held_out"], scorer(channels_last(data.held_out)))
    assert set(evaluation.logits) == {"samples", "held_out", *QUESTIONS}
    inverted = scorer(255 - channels_last(data.held_out))
    np.testing.assert_array_equal(evaluation.logits["inverted"], inverted)
    held_out = evaluation.logits["held_out"]
    assert evaluation.figures["auroc_inverted"] == pytest.approx(brute_auroc(held_out, inverted), rel=1e-12)


def test_digits_have_shares_and_other_images_have_none():
    game = make_game(tiny_recipe("mlp"), side=28)
    (train, _), (labels, _) = read_mnist(), read_mnist_labels()
    images = channels_first(train[:300])
    shape = ImageShape(height=28, width=28)
    data = Dataset("digits", images[:240], images[240:], shape, digits=1)
    sampler = Sampler(game.generator, z_dim=4, image_shape=shape)
    scorer = Scorer(game.discriminator, image_shape=shape)
    evaluation = evaluate(sampler, scorer, data, prior="normal", samples=100)
    figures = evaluation.figures
    assert sum(figures[f"share_{digit}"] for digit in range(10)) == pytest.approx(1)
    # The real images are train[100:200]; the classifier may misread at most one of these digits.
    real = np.bincount(labels[100:200], minlength=10) / 100
    assert [figures[f"share_{digit}_real"] for digit in range(10)] == pytest.approx(real.tolist(), abs=0.011)
    held_out = np.bincount(labels[240:300], minlength=10) / 60
    assert figures["smallest_share_real"] == pytest.approx((real / held_out).min(), abs=0.2)
    assert figures["largest_share_real"] == pytest.approx((real / held_out).max(), abs=0.4)
    assert figures["modes_real"] == 10
    others = evaluate(sampler, scorer, replace(data, digits=0), prior="normal", samples=20).figures
    assert {name for name in figures if name not in others} == {
        f"{name}{suffix}"
        for name in (*(f"share_{d}" for d in range(10)), "smallest_share", "largest_share", "modes", "mode_kl")
        for suffix in ("", "_real")
    } | {"d_varied", "varied_under_5"}
    varied, held_out_logits = evaluation.logits["varied"], evaluation.logits["held_out"]
    again = scorer(channels_last(vary_all(data.held_out, seed=VARIATIONS_SEED)))
    assert np.array_equal(varied, again)
    assert figures["varied_under_5"] == pytest.approx((varied < np.quantile(held_out_logits, 0.05)).mean())
    assert figures["d_varied"] == pytest.approx((1 / (1 + np.exp(-varied.astype(np.float64)))).mean(), abs=1e-6)
    assert evaluation.calibration.varied is not None
    assert evaluation.calibration.varied[100] == pytest.approx(np.median(varied), abs=1e-6)


def test_a_copied_training_image_is_found_out():
    images = torch.from_numpy(tiny_images(700))[:, None]
    near = images[[650, 3, 599]].clone()
    near[1, 0, 5, 5] += 16  # 16 grey levels in one of 256 pixels: their root mean square is 1
    nearest = find_nearest(near, images)
    assert nearest.rows.tolist() == [650, 3, 599]
    assert nearest.distances.tolist() == pytest.approx([0, 1, 0], abs=1e-3)


def small_data() -> Dataset:
    images = torch.from_numpy(tiny_images(60))[:, None]
    return Dataset("d", images[:48], images[48:], ImageShape(height=16, width=16))


def test_the_figures_of_a_pair():
    game = make_game(tiny_recipe("mlp"))
    data = small_data()
    sampler = Sampler(game.generator, z_dim=4, image_shape=data.shape)
    scorer = Scorer(game.discriminator, image_shape=data.shape)
    evaluation = evaluate(sampler, scorer, data, prior="normal", samples=30)
    figures, calibration = evaluation.figures, evaluation.calibration

    generator, discriminator = game.generator.eval().double(), game.discriminator.eval().double()
    with torch.no_grad():
        z = torch.from_numpy(draw_latents(SAMPLE_SEED, 0, 30, z_dim=4, prior="normal")).double()
        pixels = ((generator(z).double() + 1) * 127.5).round().clamp(0, 255)
        real = discriminator(data.held_out.double() / 127.5 - 1)
        fake = discriminator(pixels / 127.5 - 1)
    d_real, d_fake = 1 / (1 + torch.exp(-real)), 1 / (1 + torch.exp(-fake))
    assert figures["value"] == pytest.approx(float(d_real.log().mean() + (1 - d_fake).log().mean()), abs=1e-3)
    assert figures["d_held_out"] == pytest.approx(float(d_real.mean()), abs=1e-4)
    assert figures["d_fake"] == pytest.approx(float(d_fake.mean()), abs=1e-3)
    assert figures["auroc"] == pytest.approx(brute_auroc(real.float().numpy(), fake.float().numpy()), abs=0.02)
    assert calibration.real[0] == pytest.approx(float(real.min()), abs=1e-4)
    assert calibration.real[-1] == pytest.approx(float(real.max()), abs=1e-4)
    assert calibration.generated[100] == pytest.approx(float(np.quantile(fake.numpy(), 0.5)), abs=1e-2)
    names = [
        "frechet",
        "kid",
        "kid_deviation",
        "precision",
        "recall",
        "density",
        "coverage",
        "value",
        "d_fake",
        "auroc",
    ]
    names += ["parzen_ll", "parzen_ll_standard_error", "parzen_sigma"]
    names += ["nearest_training", "nearest_training_first_percentile", "value", "d_fake", "auroc"]
    assert set(figures) == {*names, *(f"{name}_real" for name in names), "d_held_out"} | {
        f"auroc_{question}" for question in QUESTIONS
    }
    assert all(np.isfinite(list(figures.values())))


def test_the_windows_are_over_the_images_that_the_paper_used(monkeypatch: pytest.MonkeyPatch):
    """σ is chosen on train[50000:51000], the test set is the test, and the real samples precede train[50000]."""
    numbered = torch.arange(60_000)[:, None, None, None].expand(-1, 1, 16, 16)
    images = (numbered % 251).to(torch.uint8)
    held_out = torch.zeros(10, 1, 16, 16, dtype=torch.uint8)
    data = Dataset("d", images, held_out, ImageShape(height=16, width=16))
    calls: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []

    def estimate(samples: torch.Tensor, validation: torch.Tensor, test: torch.Tensor) -> ParzenEstimate:
        calls.append((samples, validation, test))
        return ParzenEstimate(1.0 + len(calls), 0.5, 0.2)

    monkeypatch.setattr(module, "estimate", estimate)
    game = make_game(tiny_recipe("mlp"))
    figures = evaluate(
        Sampler(game.generator, z_dim=4, image_shape=data.shape),
        Scorer(game.discriminator, image_shape=data.shape),
        data,
        prior="normal",
        samples=30,
    ).figures
    (generated, validation, test), (real, validation_2, test_2) = calls
    assert generated.shape == (30, 1, 16, 16)
    assert torch.equal(validation, images[50_000:51_000])
    assert torch.equal(validation, validation_2)
    assert torch.equal(real, images[49_970:50_000])
    assert test is test_2 is held_out
    assert (figures["parzen_ll"], figures["parzen_ll_real"], figures["parzen_sigma"]) == (2.0, 3.0, 0.2)


def test_what_a_card_says_of_its_samples():
    assert (SAMPLES, SAMPLE_SEED) == (10_000, 2014)
    from training.export.card import _FIGURES

    assert "first 10,000 images of seed {sample_seed}" in _FIGURES


def test_the_smallest_data_set_can_be_judged(tmp_path: Path):
    images = torch.from_numpy(tiny_images(20))[:, None]
    data = Dataset("d", images[:18], images[18:], ImageShape(height=16, width=16))
    game = make_game(tiny_recipe("mlp"))
    figures = evaluate(
        Sampler(game.generator, z_dim=4, image_shape=data.shape),
        Scorer(game.discriminator, image_shape=data.shape),
        data,
        prior="normal",
        samples=5,
    ).figures
    assert all(np.isfinite(list(figures.values())))


@pytest.mark.parametrize("trained", [20, 33, 34, 40])  # 33 is where the images begin that choose the Parzen width
def test_only_images_that_were_trained_on_are_training_images(trained: int):
    images = torch.from_numpy(tiny_images(44))[:, None]
    data = Dataset("d", images[:40], images[40:], ImageShape(height=16, width=16))
    game = make_game(tiny_recipe("mlp"))
    sampler = Sampler(game.generator, z_dim=4, image_shape=data.shape)
    scorer = Scorer(game.discriminator, image_shape=data.shape)
    evaluation = evaluate(sampler, scorer, data, prior="normal", samples=50, train_images=trained)
    wanted = find_nearest(evaluation.samples, images[:trained])
    assert evaluation.nearest is not None
    assert torch.equal(evaluation.nearest.rows, wanted.rows)
    assert evaluation.figures["nearest_training"] == pytest.approx(float(wanted.distances.mean()))
    rows = module._stand_in_rows(data, 50, trained=trained).tolist()
    assert rows
    assert set(rows) < set(range(trained))
    assert all(np.isfinite(list(evaluation.figures.values())))
