"""All figures of `evaluate --full`. A figure `x` describes G's samples; `x_real` is the same for real training images.

accuracy_score          share of held-out images that a classifier trained on samples reads (`accuracy_score`)
two_sample_accuracy     share of images for which a new network tells samples from real ones (`two_sample_test`)
two_sample_auroc        the same as an AUROC
clipped_density         density that outliers cannot spoil (`clipped`)
clipped_coverage        coverage that outliers cannot spoil (`clipped`)
class_frechet_0, …      Fréchet distance of each class, and `class_frechet_mean`, `class_frechet_worst`
copy_ratio              median ratio of the distances to training and to held-out images (`copies`)
copy_share              share of samples whose ratio is below the first percentile of real images
copy_auroc              chance that the ratio of a real image is above a sample's
copy_p                  chance of such a share without copies
copy_likelihood_share   share of samples whose likelihood ratio of a copy is above that of 99 % of real images
copy_likelihood_p       chance of such a share without copies
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from models.images import channels_first
from models.inference.sampler import Sampler
from models.latents import Prior, draw_latents
from models.networks.conditional import labels_of
from training.data.dataset import Dataset
from training.evaluation.evaluate import SAMPLE_SEED
from training.evaluation.features import BuiltIn, Extractor
from training.evaluation.full.accuracy_score import Labelled, accuracy_score, misread
from training.evaluation.full.class_distances import class_distances, name_distances
from training.evaluation.full.clipped import clipped_density_coverage
from training.evaluation.full.copies import find_copies
from training.evaluation.full.plan import (
    ACCURACY_SCORE,
    CLASS_FRECHET,
    COMPARE,
    COPIES,
    DRAW,
    FIND_COPIES,
    LEARN,
    LEARN_REAL,
    TELL,
    TELL_REAL,
    FullPlan,
)
from training.evaluation.full.telling_samples import SHOWN, TellingSamples, surest
from training.evaluation.full.two_sample_test import ImageSet, two_sample_test
from training.evaluation.parallel import run_in_parts
from training.evaluation.progress import EvaluationProgress

ORDER_SEED = 1
"""The seed of the order in which real images are taken."""


@dataclass(frozen=True)
class FullEvaluation:
    """The result of a full evaluation.

    Attributes:
        figures: the figures by name; the docstring of this module explains them.
        missing: the reasons why figures are left out, by name (`training.evaluation.full.plan`).
        telling: samples that show what the figures mean.
    """

    figures: dict[str, float]
    missing: dict[str, str]
    telling: TellingSamples


def evaluate_full(
    sampler: Sampler,
    data: Dataset,
    plan: FullPlan,
    *,
    prior: Prior,
    head_starts: torch.Tensor | None,
    say: Callable[[str], None] | None = None,
    extractor: Extractor | None = None,
) -> FullEvaluation:
    """Draw samples and compute the figures of a plan.

    Args:
        sampler: the sampler that runs G.
        data: the data set, with only the training images that G was trained on.
        plan: the plan for this model and data set.
        prior: the prior of G's latents.
        head_starts: G's constants for its classes, [K] float32 (`Ballots.head_starts`); None if it has no classes.
        say: is given lines about the progress; None: nothing is said.
        extractor: the features in which images are compared; None: the built-in ones.

    Raises:
        DataError: the digit classifier's file is missing or damaged.
    """
    progress = EvaluationProgress(plan.costs(pixels=data.shape.pixels, trained=len(data.images)), say=say)
    progress.begin(DRAW)
    latents = draw_latents(SAMPLE_SEED, 0, plan.drawn, z_dim=sampler.z_dim, prior=prior)
    images = channels_first(run_in_parts(sampler, latents))
    labels = None if head_starts is None else labels_of(torch.from_numpy(latents), head_starts=head_starts)
    return judge_samples(images, labels, data, plan, progress, extractor=extractor)


def judge_samples(
    samples: torch.Tensor,
    labels: torch.Tensor | None,
    data: Dataset,
    plan: FullPlan,
    progress: EvaluationProgress,
    *,
    extractor: Extractor | None = None,
) -> FullEvaluation:
    """Compute the figures of a plan for given samples.

    Args:
        samples: [N, C, H, W] uint8, as many as the plan needs.
        labels: [N] int64, the class that each sample was asked for; None if G has no classes.
        data: the data set, with only the training images that G was trained on.
        plan: the plan for this model and data set.
        progress: is told each step.
        extractor: the features in which images are compared; None: the built-in ones.
    """
    compared = samples[: plan.compared]
    figures, telling = _tell_apart(samples, data, plan, progress)
    if ACCURACY_SCORE not in plan.missing:
        found, wrong = _score(_labelled(samples, labels), data, plan, progress)
        figures = found | figures
        telling = replace(telling, misread=compared[wrong[:SHOWN]])
    progress.begin(COMPARE)
    figures |= _compare(compared, labels, data, plan, BuiltIn(data.digits) if extractor is None else extractor)
    if COPIES not in plan.missing:
        progress.begin(FIND_COPIES)
        copies = find_copies(compared, data.images, data.held_out)
        figures |= copies.figures
        rows = surest(copies.ratios, largest=False)
        telling = replace(telling, nearest=compared[rows], training=data.images[copies.nearest.rows[rows]])
    return FullEvaluation(figures, plan.missing, telling)


def _labelled(images: torch.Tensor, labels: torch.Tensor | None) -> Labelled:
    if labels is None:
        raise ValueError("these images have no labels: plan without the accuracy score")
    return Labelled(images, labels)


def shuffled_rows(images: torch.Tensor) -> torch.Tensor:
    """Return the rows of real images in a random order with a fixed seed, [N] int64. Parts of the images follow it.

    In MNIST's files the images of one writer follow each other. So a part that is cut out of a file has few writers,
    and differs from the whole more than a random part does.
    """
    return torch.randperm(len(images), generator=torch.Generator().manual_seed(ORDER_SEED))


def _score(
    drawn: Labelled, data: Dataset, plan: FullPlan, progress: EvaluationProgress
) -> tuple[dict[str, float], torch.Tensor]:
    """Return both accuracy scores, and the rows of the samples that are not read as their class."""
    test = _labelled(data.held_out, data.held_out_labels).known()
    real = _labelled(data.images, data.labels).take(shuffled_rows(data.images)[: plan.classifier_images])
    scores = []
    for step, examples in ((LEARN, drawn.first(plan.classifier_images)), (LEARN_REAL, real)):
        progress.begin(step)
        scores.append(accuracy_score(examples, test, classes=data.classes, steps=plan.steps, say=progress.advance))
    figures = {"accuracy_score": scores[0].accuracy, "accuracy_score_real": scores[1].accuracy}
    return figures, misread(scores[1].network, drawn.first(plan.compared))


def _tell_apart(
    samples: torch.Tensor, data: Dataset, plan: FullPlan, progress: EvaluationProgress
) -> tuple[dict[str, float], TellingSamples]:
    """Return the two-sample tests of samples and of other real training images, and the most telling samples."""
    learnt, tested = plan.told_apart, plan.tested
    order = shuffled_rows(data.images)
    real = ImageSet(data.images[order[:learnt]], data.held_out[shuffled_rows(data.held_out)[:tested]])
    results = []
    for step, images in ((TELL, samples), (TELL_REAL, data.images[order[learnt : 2 * learnt + tested]])):
        progress.begin(step)
        other = ImageSet(images[:learnt], images[learnt : learnt + tested])
        results.append(two_sample_test(real, other, steps=plan.steps, say=progress.advance))
    figures: dict[str, float] = {}
    for suffix, result in zip(("", "_real"), results, strict=True):
        figures |= {f"two_sample_accuracy{suffix}": result.accuracy, f"two_sample_auroc{suffix}": result.auroc}
    scores, shown = torch.from_numpy(results[0].probabilities), samples[learnt : learnt + tested]
    given_away, passing = (shown[surest(scores, largest=largest)] for largest in (True, False))
    return figures, TellingSamples(given_away, passing)


def _compare(
    samples: torch.Tensor, labels: torch.Tensor | None, data: Dataset, plan: FullPlan, extractor: Extractor
) -> dict[str, float]:
    """Return the figures in features: clipped density and coverage, and each class's Fréchet distance.

    The classes are those that G was asked for and the data have. If there are none, the digit classifier reads digits.
    """
    rows = shuffled_rows(data.images)[: len(samples)]
    of_images = (data.held_out, samples, data.images[rows])
    held_out, fake, real = (extractor.extract(images) for images in of_images)
    classes = 10
    if ACCURACY_SCORE not in plan.missing and labels is not None and data.labels is not None:
        classes = data.classes
        held_out, fake, real = (
            replace(held_out, labels=data.held_out_labels),
            replace(fake, labels=labels[: len(samples)]),
            replace(real, labels=data.labels[rows]),
        )
    figures: dict[str, float] = {}
    for suffix, seen in (("", fake), ("_real", real)):
        found = clipped_density_coverage(held_out.values, seen.values)
        figures |= {f"{name}{suffix}": figure for name, figure in found.items()}
        if CLASS_FRECHET not in plan.missing and held_out.labels is not None and seen.labels is not None:
            distances = class_distances(held_out.values, held_out.labels, seen.values, seen.labels, classes=classes)
            figures |= name_distances(distances, suffix=suffix)
    return figures
