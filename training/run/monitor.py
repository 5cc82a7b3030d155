"""Figures of G's samples while it trains: light ones, the same for every run."""

import math

import torch

from models.images import channels_first
from models.inference.sampler import Sampler
from models.latents import draw_latents
from training.config import RunConfig
from training.data.dataset import Dataset
from training.errors import NotFiniteError
from training.evaluation.features import extract
from training.evaluation.metrics import frechet_distance, precision_recall_density_coverage, share_ratios
from training.gan.game import Game

IMAGES = 5000
"""The number of samples, and of real images: the last training images, so that held-out images choose no state."""

SEED = 1
"""The samples are images 0 … 4,999 of this seed."""


class Monitor:
    """Compares G's average with real training images.

    frechet                               distance in the digit classifier's features (in pixels without digits)
    precision, recall, density, coverage  see `training.evaluation.metrics`
    smallest_share                        of the rarest digit, over its share among real images; digits only

    Args:
        config: the run's.
        dataset: its data.
    """

    def __init__(self, config: RunConfig, dataset: Dataset) -> None:
        self._config = config
        self._digits = dataset.digits
        self._real = extract(dataset.images[-IMAGES:], digits=dataset.digits)

    def measure(self, game: Game) -> dict[str, float]:
        """The figures of G's average as it is now, by name.

        Raises:
            NotFiniteError: a figure is NaN or infinite.
        """
        recipe = self._config.recipe
        sampler = Sampler(
            game.average.network, z_dim=recipe.z_dim, image_shape=self._config.image_shape, device=game.device
        )
        latents = draw_latents(SEED, 0, IMAGES, z_dim=recipe.z_dim, prior=recipe.prior)
        fake = extract(channels_first(sampler(latents)), digits=self._digits)
        figures = {"frechet": frechet_distance(self._real.values, fake.values)}
        figures |= precision_recall_density_coverage(self._real.values, fake.values)
        if fake.labels is not None and self._real.labels is not None:
            figures["smallest_share"] = smallest_share(self._real.labels, fake.labels, classes=10**self._digits)
        for name, figure in figures.items():
            if not math.isfinite(figure):
                raise NotFiniteError(
                    f"{name} of G's samples is {figure}: its weights, or their average, are not finite"
                )
        return {name: round(figure, 5) for name, figure in figures.items()}


def smallest_share(real: torch.Tensor, fake: torch.Tensor, *, classes: int) -> float:
    """The share of the rarest class among `fake`, relative to its share among `real`; 1 where all are as frequent."""
    return min(share_ratios(real, fake, classes=classes))
