"""G of random words: the latents of a whole batch are made at once, by the thread that runs G."""

import numpy as np
import torch
from numpy.typing import NDArray

from models.inference.input_table import InputTable
from models.inference.sampler import Sampler
from models.latents import Prior, latents_of_words
from models.networks.conditional import ask_for_class


class WordSampler:
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

    def of_classes(
        self, words: NDArray[np.uint64], labels: NDArray[np.int64], *, head_starts: NDArray[np.float32]
    ) -> NDArray[np.uint8]:
        """The same, where each row's latent is made to name a class first (`ask_for_class`).

        Args:
            words: [n, z_dim], n ≥ 1.
            labels: [n], 0 ≤ label < K.
            head_starts: [K] float32, those of G.

        Raises:
            ValueError: there is no such class.
        """
        if self._table is None:
            latents = latents_of_words(words, prior=self._prior)
            return self._sampler(ask_for_class(latents, labels, head_starts=head_starts))
        return self._sampler.of_inputs(torch.from_numpy(self._table(words, labels)))


class ClassWordSampler:
    """A `WordSampler` of a conditional G whose rows carry the class that is asked for, so that they can share a call.

    Args:
        words: G of random words.
        head_starts: [K] float32, those of G.

    Attributes:
        rows_at_once: as the sampler's.
    """

    def __init__(self, words: WordSampler, head_starts: NDArray[np.float32]) -> None:
        self._words = words
        self._head_starts = head_starts
        self.rows_at_once = words.rows_at_once

    def __call__(self, rows: NDArray[np.uint64]) -> NDArray[np.uint8]:
        """Rows of `words_with_class` [n, z_dim + 1], n ≥ 1 → images [n, H, W] or [n, H, W, 3] uint8."""
        return self._words.of_classes(rows[:, :-1], rows[:, -1].astype(np.int64), head_starts=self._head_starts)


def words_with_class(words: NDArray[np.uint64], label: int) -> NDArray[np.uint64]:
    """Words [n, z_dim] with the class that is asked for as one more column: [n, z_dim + 1]."""
    rows = np.empty((len(words), words.shape[1] + 1), dtype=np.uint64)
    rows[:, :-1] = words
    rows[:, -1] = label
    return rows
