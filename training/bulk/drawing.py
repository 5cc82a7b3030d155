"""Draw the images of a shard (a part of the samples), a few at a time, so that memory does not grow with the shard."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from models.inference.sampler import Sampler
from models.model_folder.loaded_model import LoadedModel
from models.networks.conditional import labels_of

CHUNK_IMAGES = 256
"""Images that are drawn at a time: several times G's largest tile, and small enough for the CPU's caches."""


@dataclass(frozen=True)
class Chunk:
    """The images first … first + n − 1 of a seed.

    Attributes:
        first: index of the first image.
        latents: [n, z_dim] float32, the latents that G was given.
        images: [n, H, W] or [n, H, W, 3] uint8.
        digits: [n] int64, the class of each image; None if the model has no classes.
    """

    first: int
    latents: NDArray[np.float32]
    images: NDArray[np.uint8]
    digits: NDArray[np.int64] | None

    @property
    def indices(self) -> NDArray[np.int64]:
        """The index of each image within the seed, [n] int64."""
        return np.arange(self.first, self.first + len(self.images), dtype=np.int64)


class SeedSampler:
    """Draws the images of one seed.

    Args:
        model: the model that draws.
        sampler: the sampler of the model, from `Sampler.of_model`.
        seed: seed of the latents, 0 ≤ seed < 2⁵³.
        digit: the class of all images; None leaves the class to each latent.
        truncation: the factor ψ in (0, 1], as in `models.latents.draw_latents`.
    """

    def __init__(
        self,
        model: LoadedModel,
        sampler: Sampler,
        *,
        seed: int,
        digit: int | None = None,
        truncation: float = 1.0,
    ) -> None:
        self._model = model
        self.metadata = model.metadata
        self.sampler = sampler
        self.seed = seed
        self._digit = digit
        self._truncation = truncation
        self._head_starts = model.head_starts if model.metadata.classes else None

    def latents(self, first: int, n: int) -> NDArray[np.float32]:
        """Draw the latents of images first … first + n − 1: [n, z_dim] float32, as G takes them."""
        return self._model.draw_latents(self.seed, first, n, truncation=self._truncation, label=self._digit)

    def chunks(self, first: int, count: int) -> Iterator[Chunk]:
        """Yield the images first … first + count − 1 in order, `CHUNK_IMAGES` at a time."""
        for start in range(first, first + count, CHUNK_IMAGES):
            latents = self.latents(start, min(CHUNK_IMAGES, first + count - start))
            yield Chunk(start, latents, self.sampler(latents), self._digits(latents))

    def _digits(self, latents: NDArray[np.float32]) -> NDArray[np.int64] | None:
        """Return the requested digit, or the class that each latent selects, as [n] int64; None without classes."""
        if self._head_starts is None:
            return None
        if self._digit is not None:
            return np.full(len(latents), self._digit, dtype=np.int64)
        named = labels_of(torch.from_numpy(latents), head_starts=torch.from_numpy(self._head_starts))
        digits: NDArray[np.int64] = named.numpy()
        return digits
