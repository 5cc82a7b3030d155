"""Finds images that are equal or nearly so: copies of files, links to files, and pictures that were added twice."""

from collections import Counter
from collections.abc import Callable
from hashlib import blake2b

import numpy as np
import torch
from numpy.typing import NDArray

from training.data.near_copies import find_near_copies

MANY = 5
"""A picture that occurs more often has only copies of itself among its nearest neighbours, whose number is
`training.evaluation.metrics.NEAREST`."""

NAMED = 2
"""The most pairs of copies that a note names as examples."""


def note_copies(
    images: torch.Tensor, held_out: torch.Tensor, *, name_of: Callable[[int], str] = "row {}".format
) -> tuple[str, ...]:
    """Return sentences about copies in a person's own data that make figures wrong; () if there are none.

    Args:
        images: [N, C, H, W] uint8, to train on.
        held_out: [M, C, H, W] uint8, never trained on.
        name_of: returns the name of an image, such as its file, by its row: from 0 to N − 1 for training images, from
            N on for held-out ones.
    """
    trained_on, judged_by = _digests(images), _digests(held_out)
    counts = Counter(trained_on), Counter(judged_by)
    notes = _note_pairs(trained_on + judged_by, images, held_out, name_of)
    for of_set, which in zip(counts, ("training", "held-out"), strict=True):
        if many := sum(n for n in of_set.values() if n > MANY):
            notes.append(
                f"{many:,} of the {of_set.total():,} {which} images occur more than {MANY} times, so precision, "
                "recall, density and coverage are too low, and can be 0, in comparison with these images: take the "
                "copies out of the data"
            )
    return tuple(notes)


def _note_pairs(
    digests: list[bytes], images: torch.Tensor, held_out: torch.Tensor, name_of: Callable[[int], str]
) -> list[str]:
    """Return sentences about pairs on both sides of the split, and about pairs of training images.

    `digests` are those of all images, the training images first.
    """
    n = len(images)
    pairs = find_near_copies(images, held_out)
    notes = []
    # The digests find every exact copy, and the near copies come from the pairs.
    leaked = _exact(digests[n:], set(digests[:n])) + n
    across = (pairs.rows < n) & (pairs.others >= n)
    if all_leaked := len(np.union1d(leaked, pairs.others[across])):
        notes.append(
            f"{all_leaked:,} of the {len(held_out):,} held-out images are equal to a training image, or nearly so "
            f"({len(leaked):,} in every pixel{_examples(pairs.rows[across], pairs.others[across], name_of)}), so "
            "figures about held-out images look better than they are: take the copies out of the data"
        )
    several = {digest for digest, times in Counter(digests[:n]).items() if times > 1}
    repeated = _exact(digests[:n], several)
    within = pairs.others < n
    if all_repeated := len(np.union1d(repeated, np.concatenate([pairs.rows[within], pairs.others[within]]))):
        notes.append(
            f"{all_repeated:,} of the {n:,} training images are equal to another training image, or nearly so "
            f"({len(repeated):,} in every pixel{_examples(pairs.rows[within], pairs.others[within], name_of)}), so G "
            "draws such images more often, and copies them sooner: take the copies out of the data"
        )
    return notes


def _exact(digests: list[bytes], wanted: set[bytes]) -> NDArray[np.int64]:
    return np.array([row for row, digest in enumerate(digests) if digest in wanted], dtype=np.int64)


def _examples(rows: NDArray[np.int64], others: NDArray[np.int64], name_of: Callable[[int], str]) -> str:
    pairs = list(zip(rows.tolist(), others.tolist(), strict=True))[:NAMED]
    named = "; ".join(f"{name_of(row)} and {name_of(other)}" for row, other in pairs)
    return f"; for example, {named}" if named else ""


def _digests(images: torch.Tensor) -> list[bytes]:
    return [blake2b(image.data, digest_size=16).digest() for image in images.contiguous().numpy()]
