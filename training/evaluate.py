"""Figures of a trained pair: what G's samples and D's opinions are worth, each beside the same for real images.

parzen_ll, parzen_ll_standard_error, parzen_sigma      the 2014 paper's log-likelihood, in nats
parzen_ll_real                                         the same of real training images in place of samples
value                                                  V(G, D), the paper's equation 1; −log 4 at the optimum
d_real, d_fake                                         mean D(x) on held-out images, mean D(G(z)); 0.5 at the optimum
auroc_real_generated                                   chance that D prefers a held-out image to one of G's; 0.5 there
"""

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
from training.parzen import VALIDATION_IMAGES, estimate

SAMPLES = 10_000
SAMPLE_SEED = 2014
"""The samples judged are images 0 … 9,999 of this seed."""


def evaluate(
    sampler: Sampler, scorer: Scorer, dataset: Dataset, *, prior: Prior, samples: int = SAMPLES
) -> tuple[dict[str, float], Calibration]:
    """Judge a pair on a data set's held-out images.

    Args:
        sampler: G.
        scorer: D.
        dataset: its held-out images are the test; the last of its training images choose σ and stand for the real.
        prior: of G's latents.
        samples: how many of G's images to judge.

    Returns:
        The figures by name (see the head of this module), and the calibration of D's score.
    """
    images = sampler(draw_latents(SAMPLE_SEED, 0, samples, z_dim=sampler.z_dim, prior=prior))
    real_logits = scorer(channels_last(dataset.held_out))
    fake_logits = scorer(images)
    real, fake = torch.from_numpy(real_logits).double(), torch.from_numpy(fake_logits).double()
    figures = {
        "value": float(losses.value(real, fake)),
        "d_real": float(torch.sigmoid(real).mean()),
        "d_fake": float(torch.sigmoid(fake).mean()),
        "auroc_real_generated": auroc(real_logits, fake_logits),
    }
    return figures | _parzen_figures(images, dataset), calibrate(real_logits, fake_logits)


def auroc(positive: NDArray[np.float32], negative: NDArray[np.float32]) -> float:
    """Chance that a positive's score exceeds a negative's, ties counting half (the Mann–Whitney statistic)."""
    ordered = np.sort(negative)
    below = np.searchsorted(ordered, positive, side="left")
    not_above = np.searchsorted(ordered, positive, side="right")
    return float((below + not_above).mean() / 2 / len(negative))


def _parzen_figures(images: NDArray[np.uint8], dataset: Dataset) -> dict[str, float]:
    count = len(images)
    # MNIST: train[50000:51000] chooses σ, as in the paper; the real images that stand for samples come before it.
    split = len(dataset.images) * 5 // 6
    validation = dataset.images[split : split + VALIDATION_IMAGES]
    generated = estimate(channels_first(images), validation, dataset.held_out)
    real = estimate(dataset.images[max(0, split - count) : split], validation, dataset.held_out)
    return {
        "parzen_ll": generated.mean,
        "parzen_ll_standard_error": generated.standard_error,
        "parzen_sigma": generated.sigma,
        "parzen_ll_real": real.mean,
        "parzen_ll_real_standard_error": real.standard_error,
    }
