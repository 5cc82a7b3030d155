"""Figures of G's samples during training. They are cheap to compute, and the same for every run.

If the exported G will have a tone curve, the samples get one, too: without it, other states seem to be the best.
"""

import math
from collections.abc import Callable

import torch

from models.images import channels_first, channels_last
from models.inference.sampler import Sampler
from models.latents import draw_latents
from models.tone_curve import match_histograms
from training.config import RunConfig
from training.data.dataset import Dataset
from training.errors import NotFiniteError
from training.evaluation.features import BuiltIn, Extractor, name_of
from training.evaluation.few_images import warn_of_few_images
from training.evaluation.learned.choice import choose_features
from training.evaluation.learned.obtain import obtain_features
from training.evaluation.metrics import frechet_distance, precision_recall_density_coverage, share_ratios
from training.gan.game import Game
from training.run.folder import RunFolder

IMAGES = 5000
"""The number of samples, and of real images to compare them with. These are the last training images, because held-out
images must not decide which state is the best. They are stratified, as every slice is (`training.data.split`)."""

SEED = 1
"""The seed of the samples, which are images 0 … 4,999 of this seed."""


class Monitor:
    """Compares images of G's EMA with real training images.

    frechet                               Fréchet distance, in the features that `features` names
    precision, recall, density, coverage  see `training.evaluation.metrics`
    smallest_share                        share of the rarest digit over its share among real images; digits only

    Args:
        config: configuration of the run.
        dataset: the data set of the run.
        extractor: the features in which images are compared; None: the built-in ones.

    Attributes:
        warning: a sentence for the log if there are few real images; None otherwise.
    """

    def __init__(self, config: RunConfig, dataset: Dataset, extractor: Extractor | None = None) -> None:
        self._config = config
        self._digits = dataset.digits
        self._extractor = BuiltIn(dataset.digits) if extractor is None else extractor
        self.features = name_of(self._extractor.figures, digits=dataset.digits)
        """The name of the features in which images are compared, and the reason why they are not a network's."""
        if why := choose_features("auto", dataset).reason if config.features == "built-in" else None:
            self.features += f", because {why}"
        self._images = dataset.images[-IMAGES:]
        self._real = self._extractor.extract(self._images)
        self.warning = warn_of_few_images(len(self._real.values), which="training")

    def measure(self, game: Game) -> dict[str, float]:
        """Measure the current EMA of G, and return the figures by name.

        Raises:
            NotFiniteError: a figure is NaN or infinite.
        """
        recipe = self._config.recipe
        sampler = Sampler(
            game.average.network, z_dim=recipe.z_dim, image_shape=self._config.image_shape, device=game.device
        )
        latents = draw_latents(SEED, 0, IMAGES, z_dim=recipe.z_dim, prior=recipe.prior)
        samples = sampler(latents)
        if recipe.tone_curve:  # the exported G will have one (`training.export.tone_matching`)
            samples = match_histograms(samples, channels_last(self._images))(samples)
        fake = self._extractor.extract(channels_first(samples))
        figures = {"frechet": frechet_distance(self._real.values, fake.values)}
        figures |= precision_recall_density_coverage(self._real.values, fake.values)
        if fake.labels is not None and self._real.labels is not None:
            figures["smallest_share"] = smallest_share(self._real.labels, fake.labels, classes=10**self._digits)
        for name, figure in figures.items():
            if not math.isfinite(figure):
                raise NotFiniteError(
                    f"{name} of G's samples is {figure}: the weights of G or of its EMA are not finite; lower the "
                    "learning rates"
                )
        return {name: round(figure, 5) for name, figure in figures.items()}


def open_monitor(config: RunConfig, dataset: Dataset, folder: RunFolder, *, say: Callable[[str], None]) -> Monitor:
    """Return the monitor of a run. The features of a network are made first, if the run folder does not hold them.

    Args:
        config: configuration of the run.
        dataset: the data set of the run.
        folder: the run folder, which keeps the network.
        say: receives lines about the making of the network, which may take minutes.

    Raises:
        DataError: the file of the network is damaged.
        NotFiniteError: the loss of its training is NaN or infinite.
        OSError: the disk is full or cannot be written.
    """
    extractor = obtain_features(config.features, dataset, file=folder.features_file, keep=True, say=say)
    return Monitor(config, dataset, extractor)


def smallest_share(real: torch.Tensor, fake: torch.Tensor, *, classes: int) -> float:
    """Return the smallest ratio, over all classes, of the share among `fake` to that among `real`; 1 if all agree."""
    return min(share_ratios(real, fake, classes=classes))
