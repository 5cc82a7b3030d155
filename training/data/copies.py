"""Finds images that are equal in every pixel: copies of files, links to files, and pictures that were added twice."""

from collections import Counter
from hashlib import blake2b

import torch

MANY = 5
"""A picture that occurs more often has only copies of itself among its nearest neighbours, whose number is
`training.evaluation.metrics.NEAREST`."""


def note_copies(images: torch.Tensor, held_out: torch.Tensor) -> tuple[str, ...]:
    """Return sentences about copies in a person's own data that make figures wrong; () if there are none.

    Args:
        images: [N, C, H, W] uint8, to train on.
        held_out: [M, C, H, W] uint8, never trained on.
    """
    trained_on, judged_by = _count(images), _count(held_out)
    notes = []
    if leaked := sum(n for image, n in judged_by.items() if image in trained_on):
        notes.append(
            f"{leaked:,} of the {len(held_out):,} held-out images are equal to a training image in every pixel, so "
            "figures about held-out images look better than they are: take the copies out of the data"
        )
    for counts, which in ((trained_on, "training"), (judged_by, "held-out")):
        if many := sum(n for n in counts.values() if n > MANY):
            notes.append(
                f"{many:,} of the {counts.total():,} {which} images occur more than {MANY} times, so precision, "
                "recall, density and coverage are too low, and can be 0, in comparison with these images: take the "
                "copies out of the data"
            )
    return tuple(notes)


def _count(images: torch.Tensor) -> "Counter[bytes]":
    return Counter(blake2b(image.data, digest_size=16).digest() for image in images.contiguous().numpy())
