"""Figures of a trained pair: how good G's samples and D's scores are, compared with real images.

A figure `x` describes G's samples; `x_real` is the same figure with as many real training images in their place.

own_classifier_accuracy, self_supervised_accuracy, dinov2_features
                                       say in which features the figures are (`evaluation.features`); none of them: in
                                       those of the digit classifier, or in wavelets
frechet                                Fréchet distance to the held-out images, in these features
kid, kid_deviation                     kernel distance: mean and standard deviation over subsets
precision, recall, density, coverage   see `training.evaluation.metrics`
share_0 … share_9                      share of each digit, as the digit classifier sees it; digits only
smallest_share, largest_share          of a digit, divided by its share of the held-out images; digits only
modes, mode_kl                         classes seen, of 10 or 1,000, and KL(shares ‖ uniform) in nats; digits only
parzen_ll, parzen_ll_standard_error    the 2014 paper's log-likelihood, in nats
parzen_sigma                           width of the Gaussians in that log-likelihood, chosen on training images
nearest_training                       mean distance to the nearest training image, in grey levels
nearest_training_first_percentile      first percentile of these distances; 0 if G copies training images
value                                  V(G, D), the paper's equation 1; −log 4 at the optimum of its game
d_held_out, d_fake                     mean D of held-out images, and of the samples; 0.5 at that optimum
auroc                                  chance that D scores a held-out image above a sample; 0.5 if D can only guess
auroc_noise, auroc_letters, …          the same for pictures that are not real images (`out_of_distribution`)
d_varied                               mean D of varied held-out digits (`training.data.variations`); MNIST only
varied_under_5                         share of them below the held-out images' 5th percentile; 0.05 if D is fair
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from models.images import channels_first, channels_last
from models.inference.sampler import Sampler
from models.inference.scorer import Scorer
from models.latents import Prior, draw_latents
from models.model_folder.calibration import Calibration, calibrate
from training.data.dataset import Dataset
from training.data.variations import vary_all
from training.evaluation.classifier import FEATURES
from training.evaluation.features import BuiltIn, Extractor, Features, extract
from training.evaluation.metrics import (
    NEAREST,
    divergence_from_uniform,
    frechet_distance,
    kernel_distance,
    modes,
    nearest_distances,
    precision_recall_density_coverage,
    share_ratios,
    shares,
)
from training.evaluation.neighbours import Nearest, find_nearest
from training.evaluation.out_of_distribution import auroc, examine
from training.evaluation.parallel import run_in_parts
from training.evaluation.parzen import VALIDATION_IMAGES, estimate
from training.gan import losses

SAMPLES = 10_000
MODE_SAMPLES = 26_000
"""The number of samples in which PacGAN counts the modes of stacked digits."""

VARIATIONS_SEED = 77
"""The seed of the variations of the held-out digits."""

SAMPLE_SEED = 2014
"""The evaluated samples are images 0 … 9,999 of this seed."""


@dataclass(frozen=True)
class Evaluation:
    """The result of evaluating a pair.

    Attributes:
        figures: the quality figures by name; the docstring of this module explains them.
        calibration: the calibration of D's score.
        samples: [N, C, H, W] uint8, the images of G that were evaluated.
        nearest: the nearest training image of each sample; None if the data are not those that G was trained on.
        logits: D's logits, [n] float32, of the `samples`, of the `held_out` images, of the `varied` held-out images if
            they are MNIST's, and of each kind of picture that is not a real image
            (`training.evaluation.out_of_distribution`).
    """

    figures: dict[str, float]
    calibration: Calibration
    samples: torch.Tensor
    nearest: Nearest | None
    logits: dict[str, NDArray[np.float32]]


def evaluate(
    sampler: Sampler,
    scorer: Scorer,
    dataset: Dataset,
    *,
    prior: Prior,
    samples: int = SAMPLES,
    trained_on: bool = True,
    train_images: int | None = None,
    extractor: Extractor | None = None,
) -> Evaluation:
    """Evaluate a pair on a data set's held-out images.

    Args:
        sampler: the sampler that runs G.
        scorer: the scorer that runs D.
        dataset: the data set; its held-out images are the reference, and training images give the `_real` figures.
        prior: the prior of G's latents.
        samples: number of G's images to evaluate.
        trained_on: whether G was trained on the data set. If not, nothing is said about its nearest training images.
        train_images: the number of training images, from the first on, that G was trained on; None: all. The images
            after them only choose the Parzen width.
        extractor: the features in which images are compared; None: the built-in ones.

    Raises:
        DataError: there are fewer than `train_images` training images, or the digit classifier's file is missing or
            damaged.
    """
    score = partial(run_in_parts, scorer)
    fake = _draw(sampler, samples, prior)
    trained = dataset.first(train_images).images
    rows = _stand_in_rows(dataset, samples, trained=len(trained))
    real = trained[rows]
    others = torch.ones(len(trained), dtype=torch.bool)
    others[rows] = False
    held_out_logits, fake_logits = score(channels_last(dataset.held_out)), score(channels_last(fake))
    nearest = find_nearest(fake, trained) if trained_on else None
    extractor = BuiltIn(dataset.digits) if extractor is None else extractor
    held_out = _HeldOut.of(dataset, extractor)
    figures = dict(extractor.figures)
    for suffix, images, logits, neighbours in (
        ("", fake, fake_logits, nearest),
        (
            "_real",
            real,
            score(channels_last(real)),
            find_nearest(real, trained[others]) if trained_on else None,
        ),
    ):
        seen = (
            _likeness(held_out, extractor.extract(images))
            | _parzen_figures(images, dataset)
            | (_novelty(neighbours) if neighbours else {})
            | _opinions(held_out_logits, logits)
        )
        figures |= {f"{name}{suffix}": figure for name, figure in seen.items()}
    if dataset.digits == 3:
        figures |= _stacked_modes(sampler, trained, prior)
    figures["d_held_out"] = float(_probability(held_out_logits).mean())
    no_images = examine(score, dataset.held_out)
    figures |= {f"auroc_{kind}": auroc(held_out_logits, logits) for kind, logits in no_images.items()}
    logits_of = {"samples": fake_logits, "held_out": held_out_logits}
    varied_logits = None
    if dataset.digits == 1:
        varied_logits = score(channels_last(vary_all(dataset.held_out, seed=VARIATIONS_SEED)))
        figures |= _fairness(held_out_logits, varied_logits)
        logits_of["varied"] = varied_logits
    calibration = calibrate(held_out_logits, fake_logits, varied_logits)
    return Evaluation(figures, calibration, fake, nearest, logits_of | no_images)


def _draw(sampler: Sampler, n: int, prior: Prior) -> torch.Tensor:
    return channels_first(run_in_parts(sampler, draw_latents(SAMPLE_SEED, 0, n, z_dim=sampler.z_dim, prior=prior)))


@dataclass(frozen=True)
class _HeldOut:
    """The features of the held-out images, and the distances to their nearest neighbours, computed only once."""

    features: Features
    nearest: torch.Tensor

    @classmethod
    def of(cls, dataset: Dataset, extractor: Extractor) -> "_HeldOut":
        features = extractor.extract(dataset.held_out)
        values = features.values
        return cls(features, nearest_distances(values, min(NEAREST, len(values) - 1)))


def _likeness(held_out: _HeldOut, seen: Features) -> dict[str, float]:
    real, fake = held_out.features.values, seen.values
    kid, deviation = kernel_distance(real, fake)
    figures = {
        "frechet": frechet_distance(real, fake),
        "kid": kid,
        "kid_deviation": deviation,
        **precision_recall_density_coverage(real, fake, real_nearest=held_out.nearest),
    }
    if held_out.features.labels is None or seen.labels is None or real.shape[1] > FEATURES:
        return figures  # not digits, or stacked digits
    return figures | _digit_figures(held_out.features.labels, seen.labels)


def _digit_figures(held_out: torch.Tensor, seen: torch.Tensor) -> dict[str, float]:
    ratios = share_ratios(held_out, seen, classes=10)
    return {f"share_{digit}": share for digit, share in enumerate(shares(seen, classes=10))} | {
        "smallest_share": min(ratios),
        "largest_share": max(ratios),
        "modes": float(modes(seen)),
        "mode_kl": divergence_from_uniform(seen, classes=10),
    }


def _stacked_modes(sampler: Sampler, trained: torch.Tensor, prior: Prior) -> dict[str, float]:
    """Count modes as PacGAN does: 26,000 samples, 1,000 classes, and a class counts if one sample has it."""
    figures: dict[str, float] = {}
    for suffix, images in (("", _draw(sampler, MODE_SAMPLES, prior)), ("_real", trained[-MODE_SAMPLES:])):
        labels = extract(images, digits=3).labels
        if labels is not None:
            figures[f"modes{suffix}"] = float(modes(labels))
            figures[f"mode_kl{suffix}"] = divergence_from_uniform(labels, classes=1000)
    return figures


def _stand_in_rows(dataset: Dataset, samples: int, *, trained: int) -> torch.Tensor:
    """Return the indices of training images for the `_real` figures; the images after them choose the Parzen width.

    They are among the first `trained` images, of which at least a sixth is left to find the nearest in.
    """
    split = min(len(dataset.images) * 5 // 6, trained)
    return torch.arange(split - min(samples, trained * 5 // 6), split)


def _parzen_figures(images: torch.Tensor, dataset: Dataset) -> dict[str, float]:
    # MNIST: train[50000:51000] chooses σ, as in the paper.
    split = len(dataset.images) * 5 // 6
    found = estimate(images, dataset.images[split : split + VALIDATION_IMAGES], dataset.held_out)
    return {"parzen_ll": found.mean, "parzen_ll_standard_error": found.standard_error, "parzen_sigma": found.sigma}


def _novelty(nearest: Nearest) -> dict[str, float]:
    return {
        "nearest_training": float(nearest.distances.mean()),
        "nearest_training_first_percentile": float(nearest.distances.quantile(0.01)),
    }


def _opinions(held_out_logits: NDArray[np.float32], logits: NDArray[np.float32]) -> dict[str, float]:
    held_out, seen = torch.from_numpy(held_out_logits).double(), torch.from_numpy(logits).double()
    return {
        "value": float(losses.value(held_out, seen)),
        "d_fake": float(_probability(logits).mean()),
        "auroc": auroc(held_out_logits, logits),
    }


def _fairness(held_out_logits: NDArray[np.float32], varied_logits: NDArray[np.float32]) -> dict[str, float]:
    """Return how D scores varied digits, compared with the same digits as they are."""
    fifth = np.quantile(held_out_logits, 0.05)
    return {
        "d_varied": float(_probability(varied_logits).mean()),
        "varied_under_5": float((varied_logits < fifth).mean()),
    }


def _probability(logits: NDArray[np.float32]) -> torch.Tensor:
    return torch.sigmoid(torch.from_numpy(logits).double())
