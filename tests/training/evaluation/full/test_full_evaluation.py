"""All figures together: each is moved by the faults that it should see, and left out where it has no meaning."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from benchmarks.planted_faults import SEEN_BY, digits
from benchmarks.planted_faults import figures_of as judged
from harness.planted_faults import FAULTS, spoil
from models.inference.sampler import Sampler
from models.latents import draw_latents
from models.networks.build import build_networks
from models.networks.conditional import ballots_of, labels_of
from tests.training.support import make_game, tiny_dataset, tiny_recipe
from training.data.dataset import Dataset
from training.evaluation.evaluate import SAMPLE_SEED
from training.evaluation.full.accuracy_score import Labelled
from training.evaluation.full.full_evaluation import FullEvaluation, evaluate_full, judge_samples, shuffled_rows
from training.evaluation.full.plan import FullPlan, plan_full_evaluation
from training.evaluation.progress import EvaluationProgress

STEPS = 30


@cache
def figures_of(fault: str) -> dict[str, float]:
    data, perfect = some_digits()
    plan = FullPlan(classifier_images=800, told_apart=500, tested=300, compared=800, steps=STEPS)
    return judged(spoil(perfect, data, fault), data, plan)


def some_digits() -> tuple[Dataset, Labelled]:
    return digits(trained=2000, held_out=600, samples=800)


def test_a_perfect_g_is_as_good_as_real_images():
    figures = figures_of("perfect")
    assert figures["accuracy_score"] == pytest.approx(figures["accuracy_score_real"], abs=0.06)
    assert figures["two_sample_auroc"] == pytest.approx(0.5, abs=0.08)
    assert figures["two_sample_auroc_real"] == pytest.approx(0.5, abs=0.08)
    for name in ("clipped_density", "clipped_coverage"):
        assert figures[name] == pytest.approx(figures[f"{name}_real"], abs=0.1)
        assert figures[name] > 0.85
    assert figures["class_frechet_mean"] == pytest.approx(figures["class_frechet_mean_real"], rel=0.2)
    assert figures["copy_p"] > 0.01
    assert figures["copy_likelihood_p"] > 0.01


LEAST = {
    "accuracy_score": -0.2,
    "two_sample_auroc": 0.2,
    "clipped_density": -0.2,
    "clipped_coverage": -0.2,
    "class_frechet_mean": 5.0,
    "class_frechet_worst": 100.0,
    "copy_share": 0.05,
    "copy_likelihood_share": 0.04,
}
"""The least change of each figure by a fault that it should see."""


@pytest.mark.parametrize(("fault", "name"), [(fault, name) for fault, names in SEEN_BY.items() for name in names])
def test_a_fault_moves_the_figures_that_see_it(fault: str, name: str):
    moved = figures_of(fault)[name] - figures_of("perfect")[name]
    assert moved / LEAST[name] > 1


def test_every_fault_is_seen():
    assert set(SEEN_BY) == set(FAULTS) - {"perfect"}


@pytest.mark.parametrize("fault", ["blurred", "noisy", "shifted"])
def test_only_copies_are_taken_for_copies(fault: str):
    for test in ("copy_p", "copy_likelihood_p"):
        assert figures_of(fault)[test] > 0.01
        assert figures_of("copier")[test] < 5e-3  # the control is only 100 images


def test_real_images_are_no_slice_of_the_file():
    """A file in the order of its classes, as MNIST is in the order of its writers."""
    data, perfect = some_digits()
    assert data.labels is not None
    order = data.labels.argsort()
    ordered = replace(data, images=data.images[order], labels=data.labels[order])
    plan = FullPlan(classifier_images=500, told_apart=500, tested=300, compared=500, steps=STEPS)
    progress = EvaluationProgress(plan.costs(pixels=784, trained=len(data.images)), say=None)
    figures = judge_samples(perfect.images, perfect.labels, ordered, plan, progress).figures
    assert figures["clipped_coverage_real"] > 0.85
    assert figures["accuracy_score_real"] > 0.7
    assert figures["two_sample_auroc_real"] == pytest.approx(0.5, abs=0.1)
    assert {f"class_frechet_{digit}_real" for digit in range(10)} <= set(figures)


def test_the_order_of_real_images_is_random_and_fixed():
    rows = shuffled_rows(torch.zeros(1000, 1))
    assert sorted(rows.tolist()) == list(range(1000))
    assert torch.equal(rows, shuffled_rows(torch.ones(1000, 1)))
    assert torch.bincount(rows[:200] // 100, minlength=10).min() > 5


def small() -> Dataset:
    data = tiny_dataset(60)
    labels = torch.arange(60) % 2
    held_out = data.images[50:]
    return replace(
        data,
        images=data.images[:50],
        held_out=held_out,
        labels=labels[:50],
        held_out_labels=labels[50:],
        class_names=("a", "b"),
    )


def conditional() -> tuple[Sampler, torch.Tensor]:
    architecture, shape = tiny_recipe("mlp").architecture, small().shape
    generator = build_networks(architecture, z_dim=6, image_shape=shape, classes=2, packing=1)[0]
    return Sampler(generator, z_dim=6, image_shape=shape), ballots_of(generator).head_starts


def run(sampler: Sampler, data: Dataset, starts: torch.Tensor | None, *, trained_on: bool = True) -> FullEvaluation:
    plan = plan_full_evaluation(data, head_starts=starts, trained_on=trained_on, compared=40, steps=3)
    return evaluate_full(sampler, data, plan, prior="normal", head_starts=starts)


ALWAYS = {"two_sample_accuracy", "two_sample_auroc", "clipped_density", "clipped_coverage"}
COPY = {"copy_ratio", "copy_share", "copy_auroc", "copy_likelihood_share"}
CLASSES = {"class_frechet_0", "class_frechet_1", "class_frechet_mean", "class_frechet_worst"}


def with_real(*names: str) -> set[str]:
    return {f"{name}{suffix}" for name in names for suffix in ("", "_real")}


def test_the_figures_of_a_conditional_g():
    sampler, starts = conditional()
    full = run(sampler, small(), starts)
    assert set(full.figures) == with_real(*ALWAYS, *COPY, *CLASSES, "accuracy_score") | {"copy_p", "copy_likelihood_p"}
    assert all(np.isfinite(list(full.figures.values())))
    assert full.missing == {}
    assert full.telling.nearest is not None
    assert full.telling.training is not None
    assert full.telling.nearest.shape == full.telling.training.shape
    again = run(sampler, small(), starts)
    assert again.figures == full.figures


def test_without_classes_some_figures_are_missing():
    game = make_game(tiny_recipe("mlp"))
    sampler = Sampler(game.generator, z_dim=4, image_shape=small().shape)
    full = run(sampler, small(), None, trained_on=False)
    assert set(full.figures) == with_real(*ALWAYS)
    assert full.missing == {
        "accuracy_score": "the model has no classes, so its samples have no labels",
        "class_frechet": "the model has no classes, so its samples have no labels",
        "copies": "these are not the images that the model was trained on",
    }
    assert full.telling.misread is None
    assert full.telling.nearest is None


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (replace(small(), labels=None, held_out_labels=None, class_names=()), "the held-out images have no labels"),
        (replace(small(), class_names=("a", "b", "c")), "the model has 2 classes, but the images have 3"),
    ],
)
def test_reasons(data: Dataset, reason: str):
    plan = plan_full_evaluation(data, head_starts=torch.zeros(2), trained_on=True)
    assert plan.missing == {"accuracy_score": reason, "class_frechet": reason}


def test_digits_are_read_for_the_classes_of_a_g_without_classes():
    data, perfect = some_digits()
    plan = replace(
        plan_full_evaluation(data, head_starts=None, trained_on=False, compared=300, steps=1), told_apart=50, tested=50
    )
    progress = EvaluationProgress(plan.costs(pixels=784, trained=2000), say=None)
    full = judge_samples(perfect.images, None, data, plan, progress)
    assert set(full.missing) == {"accuracy_score", "copies"}
    assert {f"class_frechet_{digit}" for digit in range(10)} <= set(full.figures)


def test_the_labels_are_those_that_the_latents_ask_for():
    sampler, starts = conditional()
    latents = draw_latents(SAMPLE_SEED, 0, 40, z_dim=6, prior="normal")
    labels = labels_of(torch.from_numpy(latents), head_starts=starts)
    data = small()
    plan = plan_full_evaluation(data, head_starts=starts, trained_on=True, compared=40, steps=3)
    progress = EvaluationProgress(plan.costs(pixels=256, trained=50), say=None)
    samples = torch.from_numpy(sampler(latents))[:, None]
    given = judge_samples(samples, labels, data, replace(plan, classifier_images=40), progress)
    wanted = evaluate_full(sampler, data, replace(plan, classifier_images=40), prior="normal", head_starts=starts)
    assert given.figures == wanted.figures


def test_the_plan_of_mnist():
    from training.data.dataset import load_dataset

    plan = plan_full_evaluation(load_dataset("mnist"), head_starts=torch.zeros(10), trained_on=True)
    assert (plan.classifier_images, plan.told_apart, plan.tested, plan.drawn) == (60_000, 20_000, 10_000, 60_000)
    assert list(plan.costs(pixels=784, trained=60_000)) == [
        "drawing samples",
        "telling samples from real images",
        "telling real images from real images",
        "a classifier learns from samples",
        "a classifier learns from real images",
        "comparing features",
        "looking for copies",
    ]


def test_every_step_is_said():
    sampler, starts = conditional()
    lines: list[str] = []
    data = small()
    plan = plan_full_evaluation(data, head_starts=starts, trained_on=True, compared=40, steps=3)
    evaluate_full(sampler, data, plan, prior="normal", head_starts=starts, say=lines.append)
    begun = [line.split(": ")[2].split(",")[0] for line in lines if "%" not in line]
    assert begun == list(plan.costs(pixels=256, trained=50))
