"""The drawer: random words in, pictures out; what lies between is done for a whole batch at once."""

import numpy as np
import torch
from numpy.typing import NDArray

from models.inference.input_table import InputTable
from models.inference.sampler import Sampler
from models.latents import Prior, latents_of_words


class Drawer:
    """G of the latents that random words stand for. One thread at a time may call it.

    Args:
        sampler: G.
        prior: of its latents.

    Attributes:
        rows_at_once: as the sampler's.
    """

    def __init__(self, sampler: Sampler, prior: Prior) -> None:
        self._sampler = sampler
        self._prior: Prior = prior
        self._table = None if sampler.integers is None else InputTable(sampler.integers, prior)
        self.rows_at_once = sampler.rows_at_once

    def __call__(self, words: NDArray[np.uint64]) -> NDArray[np.uint8]:
        """Words [n, z_dim], n ≥ 1 → images [n, H, W] or [n, H, W, 3] uint8: those of `latents_of_words`."""
        if self._table is None:
            return self._sampler(latents_of_words(words, prior=self._prior))
        return self._sampler.of_inputs(torch.from_numpy(self._table(words)))
