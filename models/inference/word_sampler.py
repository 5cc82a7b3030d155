"""Images from 64-bit random words: the thread that runs G computes the latents of a whole batch at once."""

import numpy as np
import torch
from numpy.typing import NDArray

from models.inference.input_table import InputTable
from models.inference.sampler import Sampler
from models.latents import Prior, latents_of_words
from models.networks.conditional import ask_for_class


class WordSampler:
    """Draws images whose latents it computes from random words. One thread at a time may call it.

    Args:
        sampler: the sampler that runs G.
        prior: the latents' prior.

    Attributes:
        rows_at_once: the most rows (images) that one call should have while other calls wait, as for `Sampler`.
    """

    def __init__(self, sampler: Sampler, prior: Prior) -> None:
        self._sampler = sampler
        self._prior: Prior = prior
        self._table = None if sampler.integers is None else InputTable(sampler.integers, prior)
        self.rows_at_once = sampler.rows_at_once

    def __call__(self, words: NDArray[np.uint64]) -> NDArray[np.uint8]:
        """Compute latents from words [n, z_dim], n ≥ 1, and draw their images, [n, H, W] or [n, H, W, 3] uint8."""
        if self._table is None:
            return self._sampler(latents_of_words(words, prior=self._prior))
        return self._sampler.of_inputs(torch.from_numpy(self._table(words)))

    def of_classes(
        self, words: NDArray[np.uint64], labels: NDArray[np.int64], *, head_starts: NDArray[np.float32]
    ) -> NDArray[np.uint8]:
        """Draw images of given classes: each row's latent is changed so that it chooses its class (`ask_for_class`).

        Args:
            words: random words [n, z_dim] uint64, n ≥ 1.
            labels: [n] int64, the class of each row; 0 ≤ label < K.
            head_starts: [K] float32, G's head starts (`models.networks.conditional`).

        Raises:
            ValueError: G does not have one of the classes.
        """
        if self._table is None:
            latents = latents_of_words(words, prior=self._prior)
            return self._sampler(ask_for_class(latents, labels, head_starts=head_starts))
        return self._sampler.of_inputs(torch.from_numpy(self._table(words, labels)))


class ClassWordSampler:
    """Draws images of requested classes. Each row contains its class, so rows of different classes can share a call.

    Args:
        words: the sampler that draws the images.
        head_starts: [K] float32, G's head starts (`models.networks.conditional`).

    Attributes:
        rows_at_once: the most rows (images) that one call should have while other calls wait, as for `Sampler`.
    """

    def __init__(self, words: WordSampler, head_starts: NDArray[np.float32]) -> None:
        self._words = words
        self._head_starts = head_starts
        self.rows_at_once = words.rows_at_once

    def __call__(self, rows: NDArray[np.uint64]) -> NDArray[np.uint8]:
        """Draw images, [n, H, W] or [n, H, W, 3] uint8, from rows of `words_with_class` [n, z_dim + 1], n ≥ 1."""
        return self._words.of_classes(rows[:, :-1], rows[:, -1].astype(np.int64), head_starts=self._head_starts)


def words_with_class(words: NDArray[np.uint64], label: int) -> NDArray[np.uint64]:
    """Append the requested class to random words [n, z_dim] as one more column: [n, z_dim + 1]."""
    rows = np.empty((len(words), words.shape[1] + 1), dtype=np.uint64)
    rows[:, :-1] = words
    rows[:, -1] = label
    return rows
