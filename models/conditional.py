"""Class-conditional networks: which digit is a part of the latent.

The last `classes` coordinates of a latent are ballots: the largest names the class. They have the prior's own
distribution, so a latent stays what it is everywhere else: a point of the prior, drawn by counter, posted back,
interpolated and projected like any other. To ask for a class, its ballot and the largest change places.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

MAX_CLASSES = 1000
"""More classes than this have a data set's labels mixed up with something else."""

SHARPNESS = 12.0
"""β of softmax(β·ballots): near 0 or 1 but for ties, where the class changes smoothly."""


class Ballots(nn.Module):
    """G's first layer: the last K of the z_dim coordinates become √K·softmax(β·ballots); the shape stays [N, z_dim].

    √K gives the K values the length that K coordinates of the prior have in the mean.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        chosen = torch.softmax(SHARPNESS * z[:, -self.classes :], dim=1) * math.sqrt(self.classes)
        return torch.cat([z[:, : -self.classes], chosen], dim=1)


class ConditionalDiscriminator(nn.Module):
    """D with one logit for each class, and one for all of them.

    Args:
        body: [N, C, H, W] float32 in [−1, 1] → [N, K], a logit of "a real image of class k" for each k.
    """

    def __init__(self, body: nn.Sequential) -> None:
        super().__init__()
        self.body = body

    def class_logits(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The logit of each image as one of its own label's: labels [N] int64 → [N]."""
        logits: torch.Tensor = self.body(images).gather(1, labels[:, None])[:, 0]
        return logits

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """One logit each, [N], whatever the class: log mean_k exp(logit_k).

        D(x) = Z/(Z + 1) with Z the sum of the classes' exponentials, as in Salimans et al. 2016 (arXiv 1606.03498),
        section 5; here their mean, so that a D which knows no classes is the same D.
        """
        logits = self.body(images).float()
        return torch.logsumexp(logits, dim=1) - math.log(logits.shape[1])


def labels_of(latents: torch.Tensor, *, classes: int) -> torch.Tensor:
    """The class that each latent [N, z_dim] names: [N] int64."""
    return latents[:, -classes:].argmax(dim=1)


def ask_for_class(latents: NDArray[np.float32], label: int, *, classes: int) -> NDArray[np.float32]:
    """The same latents [n, z_dim], but each names `label`: its ballot and the largest change places.

    By symmetry the result is distributed as the prior's latents of that class are, exactly.

    Raises:
        ValueError: there is no such class.
    """
    if not 0 <= label < classes:
        raise ValueError(f"the class must be 0 to {classes - 1}, not {label}")
    asked = latents.copy()
    ballots = asked[:, -classes:]
    rows = np.arange(len(asked))
    largest = ballots.argmax(axis=1)
    ballots[rows, largest], ballots[:, label] = ballots[:, label].copy(), ballots[rows, largest].copy()
    return asked


def generator_head(classes: int) -> list[nn.Module]:
    """The layers that a G of `classes` classes begins with; 0 is an unconditional G."""
    return [Ballots(classes)] if classes else []


def with_logits(layers: list[nn.Module], width: int, *, classes: int) -> nn.Module:
    """D of `layers`, which end with [N, width]: one logit, or one for each of `classes` classes."""
    if not classes:
        return nn.Sequential(*layers, nn.Linear(width, 1), nn.Flatten(0))
    return ConditionalDiscriminator(nn.Sequential(*layers, nn.Linear(width, classes)))
