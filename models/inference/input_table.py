"""A table from 64-bit random words to the input of a quantised G, which saves computing most latents.

A coordinate of a latent grows with its random word, and so does the whole number to which G's first layer rounds it. So
the highest 16 bits of a word determine this number, except for the few words near a step from one number to the next.
Those are computed exactly, and so are the ballots (the coordinates that choose the class,
`models.networks.conditional`), because G needs their values before rounding. The result always equals the one computed
from the latents.
"""

import numpy as np
from numpy.typing import NDArray

from models.inference.integer_generator import IntegerNetwork
from models.latents import Prior, latents_of_words
from models.networks.conditional import ask_for_class
from models.networks.quantised import LARGEST_INPUT

CELL_BITS = 16
"""The number of a word's highest bits that choose its cell of the table."""

UNCERTAIN = LARGEST_INPUT
"""The entry of cells whose words do not all have the same number. The few cells of the largest number have it too."""

STEP_MARGIN = 1e-5
"""Each cell is widened by this much at both ends, to cover the rounding errors of ndtri, which are smaller."""

_BELOW_CELLS = np.uint64(64 - CELL_BITS)


class InputTable:
    """A table that maps random words to G's input in whole numbers, which is `IntegerNetwork.whole` of their latents.

    Args:
        network: a quantised G in integer arithmetic.
        prior: the latents' prior.
    """

    def __init__(self, network: IntegerNetwork, prior: Prior) -> None:
        self._network = network
        self._prior: Prior = prior
        self._ballots = network.ballots
        lowest = np.arange(2**CELL_BITS, dtype=np.uint64) << _BELOW_CELLS
        highest = lowest | np.uint64(2 ** (64 - CELL_BITS) - 1)
        least = network.rounded(latents_of_words(lowest, prior=prior) - np.float32(STEP_MARGIN))
        most = network.rounded(latents_of_words(highest, prior=prior) + np.float32(STEP_MARGIN))
        self._numbers = np.where(least == most, least, np.uint8(UNCERTAIN))

    def __call__(self, words: NDArray[np.uint64], labels: NDArray[np.int64] | None = None) -> NDArray[np.uint8]:
        """Map random words to the input of G's first linear layer, [n, z_dim] uint8.

        Each row depends only on its own words and label.

        Args:
            words: random words [n, z_dim], n ≥ 1.
            labels: [n] int64, the class that each row's latent must choose (`ask_for_class`); None keeps the latents as
                drawn.

        Raises:
            ValueError: G does not have one of the classes.
        """
        flat = words.reshape(-1)
        whole = self._numbers.take(_cells(flat))
        (uncertain,) = (whole == UNCERTAIN).nonzero()
        exact = flat[uncertain]
        if self._ballots is None:
            whole[uncertain] = self._network.rounded(latents_of_words(exact, prior=self._prior))
            return whole.reshape(words.shape)
        # One batch for all exact values, because starting each operation takes longer than computing it.
        votes = words[:, -self._ballots.classes :]
        latents = latents_of_words(np.concatenate((votes.reshape(-1), exact)), prior=self._prior)
        chosen = latents[: votes.size].reshape(votes.shape)
        if labels is not None:
            chosen[:] = ask_for_class(chosen, labels, head_starts=self._ballots.head_starts.numpy())
        chosen[:] = self._ballots.of_votes(chosen)
        rounded = self._network.rounded(latents)
        whole[uncertain] = rounded[votes.size :]
        whole = whole.reshape(words.shape)
        whole[:, -self._ballots.classes :] = rounded[: votes.size].reshape(votes.shape)
        return whole


def _cells(words: NDArray[np.uint64]) -> NDArray[np.int64]:
    return (words >> _BELOW_CELLS).view(np.int64)
