"""Samples that show what the figures of a full evaluation mean: the ones that are surest mistakes, fakes or copies."""

from dataclasses import dataclass

import torch

SHOWN = 32


@dataclass(frozen=True)
class TellingSamples:
    """Some samples of G, each [≤ 32, C, H, W] uint8.

    Attributes:
        given_away: those that the network of the two-sample test is surest are samples.
        passing: those that it is surest are real images.
        misread: those that a classifier trained on real images is surest belong to another class than G was asked for;
            None if G has no classes.
        nearest: those whose ratio of distances is the smallest; None if the training images are not known.
        training: the nearest training image of each of `nearest`.
    """

    given_away: torch.Tensor
    passing: torch.Tensor
    misread: torch.Tensor | None = None
    nearest: torch.Tensor | None = None
    training: torch.Tensor | None = None


def surest(scores: torch.Tensor, *, largest: bool) -> torch.Tensor:
    """Return the rows of the largest or the smallest scores [N], at most 32 and at most half of them: [n] int64."""
    n = min(SHOWN, max(1, len(scores) // 2))
    return scores.argsort(descending=largest, stable=True)[:n]
