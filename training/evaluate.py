"""Figures of a trained pair: what G's samples and D's opinions are worth, each beside the same for real images.

A figure `x` is of G's samples; `x_real` is the same figure of as many real training images in their place.

frechet                                Fréchet distance to the held-out images, in the features of `training.features`
kid, kid_deviation                     kernel distance: mean and standard deviation over subsets
precision, recall, density, coverage   see `training.metrics`
share_0 … share_9                      share of each digit, as the classifier reads it; digits only
smallest_share, largest_share          of a digit, over its share among the held-out images; digits only
modes, mode_kl                         classes seen, of 10 or 1,000, and KL(shares ‖ uniform) in nats; digits only
parzen_ll, parzen_ll_standard_error    the 2014 paper's log-likelihood, in nats
nearest_training                       mean distance to the nearest training image, in grey levels
nearest_training_first_percentile      the same at the nearest hundredth: copies would make it 0
value                                  V(G, D), the paper's equation 1; −log 4 at the optimum
d_held_out, d_fake                     mean D of held-out images, and of the samples; 0.5 at the optimum
auroc                                  chance that D prefers a held-out image to one of these; 0.5 at the optimum
auroc_noise, auroc_letters, …          the same against pictures that are no real images (`training.examination`)
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from models.calibration import Calibration, calibrate
from models.images import channels_first, channels_last
from models.latents import Prior, draw_latents
from models.sampler import Sampler
from models.scorer import Scorer
from training import losses
from training.data.dataset import Dataset
from training.examination import auroc, examine
from training.features import Features, extract
from training.metrics import (
    divergence_from_uniform,
    frechet_distance,
    kernel_distance,
    modes,
    precision_recall_density_coverage,
    shares,
)
from training.neighbours import Nearest, find_nearest
from training.parzen import VALIDATION_IMAGES, estimate

SAMPLES = 10_000
MODE_SAMPLES = 26_000
"""PacGAN's number, for the modes of stacked digits."""

SAMPLE_SEED = 2014
"""The samples judged are images 0 … 9,999 of this seed."""


@dataclass(frozen=True)
class Evaluation:
    """What is known of a pair.

    Attributes:
        figures: by name, see the head of this module.
        calibration: of D's score.
        samples: [N, C, H, W] uint8, G's images that were judged.
        nearest: their nearest training images.
    """

    figures: dict[str, float]
    calibration: Calibration
    samples: torch.Tensor
    nearest: Nearest


def evaluate(sampler: Sampler, scorer: Scorer, dataset: Dataset, *, prior: Prior, samples: int = SAMPLES) -> Evaluation:
    """Judge a pair on a data set's held-out images.

    Args:
        sampler: G.
        scorer: D.
        dataset: its held-out images are the test; training images stand for the real ones beside each figure.
        prior: of G's latents.
        samples: how many of G's images to judge.

    Raises:
        DataError: the digit classifier's file is missing or damaged.
    """
    fake = channels_first(sampler(draw_latents(SAMPLE_SEED, 0, samples, z_dim=sampler.z_dim, prior=prior)))
    rows = _stand_in_rows(dataset, samples)
    real = dataset.images[rows]
    others = torch.ones(len(dataset.images), dtype=torch.bool)
    others[rows] = False
    held_out_logits = scorer(channels_last(dataset.held_out))
    fake_logits = scorer(channels_last(fake))
    nearest = find_nearest(fake, dataset.images)
    held_out_features = extract(dataset.held_out, digits=dataset.digits)
    figures: dict[str, float] = {}
    for suffix, images, logits, neighbours in (
        ("", fake, fake_logits, nearest),
        ("_real", real, scorer(channels_last(real)), find_nearest(real, dataset.images[others])),
    ):
        seen = (
            _likeness(held_out_features, extract(images, digits=dataset.digits))
            | _parzen_figures(images, dataset)
            | _novelty(neighbours)
            | _opinions(held_out_logits, logits)
        )
        figures |= {f"{name}{suffix}": figure for name, figure in seen.items()}
    if dataset.digits == 3:
        figures |= _stacked_modes(sampler, dataset, prior)
    figures["d_held_out"] = float(_probability(held_out_logits).mean())
    figures |= examine(scorer, dataset.held_out, held_out_logits)
    return Evaluation(figures, calibrate(held_out_logits, fake_logits), fake, nearest)


def _likeness(held_out: Features, seen: Features) -> dict[str, float]:
    kid, deviation = kernel_distance(held_out.values, seen.values)
    figures = {
        "frechet": frechet_distance(held_out.values, seen.values),
        "kid": kid,
        "kid_deviation": deviation,
        **precision_recall_density_coverage(held_out.values, seen.values),
    }
    if held_out.labels is None or seen.labels is None or held_out.values.shape[1] > 128:
        return figures
    seen_shares, held_out_shares = shares(seen.labels, classes=10), shares(held_out.labels, classes=10)
    ratios = [share / wanted for share, wanted in zip(seen_shares, held_out_shares, strict=True) if wanted]
    return (
        figures
        | {f"share_{digit}": share for digit, share in enumerate(seen_shares)}
        | {
            "smallest_share": min(ratios),
            "largest_share": max(ratios),
            "modes": float(modes(seen.labels)),
            "mode_kl": divergence_from_uniform(seen.labels, classes=10),
        }
    )


def _stacked_modes(sampler: Sampler, dataset: Dataset, prior: Prior) -> dict[str, float]:
    """Modes and their divergence as PacGAN counts them: 26,000 samples, 1,000 classes, any hit counts."""
    latents = draw_latents(SAMPLE_SEED, 0, MODE_SAMPLES, z_dim=sampler.z_dim, prior=prior)
    figures: dict[str, float] = {}
    for suffix, images in (("", channels_first(sampler(latents))), ("_real", dataset.images[-MODE_SAMPLES:])):
        labels = extract(images, digits=3).labels
        if labels is not None:
            figures[f"modes{suffix}"] = float(modes(labels))
            figures[f"mode_kl{suffix}"] = divergence_from_uniform(labels, classes=1000)
    return figures


def _stand_in_rows(dataset: Dataset, samples: int) -> torch.Tensor:
    """Training images that stand for samples: those before the images that choose the Parzen window's width."""
    split = len(dataset.images) * 5 // 6
    return torch.arange(max(0, split - samples), split)


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


def _probability(logits: NDArray[np.float32]) -> torch.Tensor:
    return torch.sigmoid(torch.from_numpy(logits).double())
