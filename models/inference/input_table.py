"""What a quantised G gets for random words, from a table: few words need their latent.

A coordinate of a latent grows with its word, and so does the whole number that G's first layer makes of it. So a word's
highest 16 bits tell the number, but for the few words near a step from one number to the next: those are worked out,
and so are the ballots, of which G wants more than a whole number. The numbers are those of the latents, to the last.
"""

import numpy as np
from numpy.typing import NDArray

from models.inference.integer_generator import IntegerNetwork
from models.latents import Prior, latents_of_words
from models.networks.conditional import ask_for_class
from models.networks.quantised import LARGEST_INPUT

CELL_BITS = 16
"""Of a word, that choose its cell of the table."""

UNCERTAIN = LARGEST_INPUT
"""Stands in the cells whose words have more than one number; and in those of the largest number, which are few."""

STEP_MARGIN = 1e-5
"""A cell is uncertain too where a latent so little beyond its ends has another number: no ndtri is off by as much."""

_BELOW_CELLS = np.uint64(64 - CELL_BITS)


class InputTable:
    """Words → the first linear layer's input, as `IntegerNetwork.whole` of their latents.

    Args:
        network: G.
        prior: of the latents.
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
        """Words [n, z_dim], n ≥ 1 → [n, z_dim] uint8; each row depends on its own words and label alone.

        Args:
            words: random words [n, z_dim].
            labels: [n], the class that each row's latent is to name (`ask_for_class`); None: as drawn.

        Raises:
            ValueError: there is no such class.
        """
        flat = words.reshape(-1)
        whole = self._numbers.take(_cells(flat))
        (uncertain,) = (whole == UNCERTAIN).nonzero()
        exact = flat[uncertain]
        if self._ballots is None:
            whole[uncertain] = self._network.rounded(latents_of_words(exact, prior=self._prior))
            return whole.reshape(words.shape)
        # All that is exact in one go: each step of it takes longer to begin than to do.
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
