"""Class-conditional networks: a part of the latent says which class G draws.

The last K coordinates of a latent, one for each class, are its ballots. The class with the largest sum of ballot and
head start is the one that the latent names. Head starts belong to G and make the classes as frequent among the prior's
latents as in the data. Ballots have the prior's own distribution, so a conditional G's latents are drawn, posted back,
interpolated and projected like any others. To ask for a class, its ballot and the largest one change places.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from models.errors import ClassError
from models.latents import UNIFORM_BOUND, Prior, share_below

MAX_CLASSES = 1000
"""A data set with more classes than this probably has something other than labels in their place."""

SHARPNESS = 12.0
"""β of softmax(β·ballots): its values are near 0 or 1, except near ties, where the class changes smoothly."""


class Ballots(nn.Module):
    """G's first layer: the last K coordinates become √K·softmax(β·(ballots + head starts)); the shape stays [N, z_dim].

    √K gives the K values the length that K coordinates of the prior have on average.

    Attributes:
        head_starts: [K] float32; 0 at first, which makes all classes equally frequent (`head_starts_for`).
    """

    head_starts: torch.Tensor

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes
        self.register_buffer("head_starts", torch.zeros(classes))

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        votes = z[:, -self.classes :] + self.head_starts
        chosen = torch.softmax(SHARPNESS * votes, dim=1) * math.sqrt(self.classes)
        return torch.cat([z[:, : -self.classes], chosen], dim=1)

    def of_array(self, z: NDArray[np.float32]) -> NDArray[np.float32]:
        """`forward` of an array, with the same bits and no gradient: for few rows it takes a third of the time."""
        return np.concatenate([z[:, : -self.classes], self.of_votes(z[:, -self.classes :])], axis=1)

    def of_votes(self, votes: NDArray[np.float32]) -> NDArray[np.float32]:
        """`of_array` of the last K coordinates alone: [N, K] → [N, K]."""
        votes = votes + self.head_starts.numpy()
        votes *= SHARPNESS
        chosen: NDArray[np.float32] = torch.softmax(torch.from_numpy(votes), dim=1).numpy()
        chosen *= math.sqrt(self.classes)
        return chosen


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


def ballots_of(generator: nn.Module) -> Ballots:
    """The first layer of a conditional G."""
    return next(layer for layer in generator.modules() if isinstance(layer, Ballots))


def check_class(label: int | None, *, classes: int) -> None:
    """Refuse a class that a model cannot be asked for. None asks for no class, and passes.

    Args:
        label: the class that is asked for.
        classes: how many the model has; 0 for a model without classes.

    Raises:
        ClassError: the model has no such class, or none at all.
    """
    if label is not None and not 0 <= label < classes:
        raise ClassError(label, classes=classes)


def labels_of(latents: torch.Tensor, *, head_starts: torch.Tensor) -> torch.Tensor:
    """The class that each latent [N, z_dim] names, by the head starts [K] of its G: [N] int64."""
    return (latents[:, -len(head_starts) :] + head_starts).argmax(dim=1)


def ask_for_class(
    latents: NDArray[np.float32], label: int | NDArray[np.int64], *, head_starts: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The same latents [n, z_dim], but each names a class: its ballot and the largest, as counted, change places.

    Where no class has a head start over another, the result is by symmetry distributed as the prior's latents of that
    class are, exactly; otherwise the two ballots differ by what the head starts differ.

    Args:
        latents: [n, z_dim] float32; only the last K coordinates, the ballots, are read and changed.
        label: the class of all rows, or [n] int64, one for each row; 0 ≤ label < K.
        head_starts: [K] float32, those of G.

    Raises:
        ValueError: there is no such class.
    """
    classes = len(head_starts)
    if np.min(label) < 0 or np.max(label) >= classes:
        raise ValueError(f"the class must be 0 to {classes - 1}, not {label}")
    asked = latents.copy()
    ballots = asked[:, -classes:]
    rows = np.arange(len(asked))
    largest = (ballots + head_starts).argmax(axis=1)
    ahead = head_starts[largest] - head_starts[label]
    ballots[rows, largest], ballots[rows, label] = ballots[rows, label] - ahead, ballots[rows, largest] + ahead
    return asked


def head_starts_for(shares: NDArray[np.float64], *, prior: Prior) -> NDArray[np.float32]:
    """The head starts [K] under which class k is named by a share `shares[k]` of the prior's latents.

    P(k) = ∫ p(t − h_k)·∏_{j≠k} F(t − h_j) dt, by the trapezium rule; h follows log shares − log P until they are equal,
    to about 1e-6. Their mean is 0.

    Args:
        shares: [K] float64, each above 0, with the sum 1.
        prior: whose density p and distribution function F they are.

    Raises:
        ValueError: a share is 0 or less, or their sum is not 1.
    """
    if not (shares > 0).all() or abs(shares.sum() - 1) > 1e-6:
        raise ValueError(f"the classes' shares must be above 0 and sum to 1, not {shares.tolist()}")
    starts = np.zeros(len(shares))
    for _ in range(200):
        starts += 0.3 * (np.log(shares) - np.log(_named_shares(starts, prior)))
        starts -= starts.mean()
    return starts.astype(np.float32)


def _named_shares(starts: NDArray[np.float64], prior: Prior) -> NDArray[np.float64]:
    """How often each class is named, [K]."""
    reach = (8.0 if prior == "normal" else UNIFORM_BOUND) + np.abs(starts).max()
    t = torch.linspace(-reach, reach, 4001, dtype=torch.float64)[:, None] - torch.from_numpy(starts)
    if prior == "normal":
        log_below, density = torch.special.log_ndtr(t), torch.exp(-(t**2) / 2)
    else:
        within = t.abs() <= UNIFORM_BOUND
        log_below, density = share_below(t).clamp(1e-300, 1).log(), within.double()
    others = log_below.sum(dim=1, keepdim=True) - log_below
    named = torch.trapezoid(density * others.exp(), dim=0)
    shares: NDArray[np.float64] = (named / named.sum()).numpy()
    return shares


def generator_head(classes: int) -> list[nn.Module]:
    """The layers that a G of `classes` classes begins with; 0 is an unconditional G."""
    return [Ballots(classes)] if classes else []


def with_logits(layers: list[nn.Module], width: int, *, classes: int) -> nn.Module:
    """D of `layers`, which end with [N, width]: one logit, or one for each of `classes` classes."""
    if not classes:
        return nn.Sequential(*layers, nn.Linear(width, 1), nn.Flatten(0))
    return ConditionalDiscriminator(nn.Sequential(*layers, nn.Linear(width, classes)))
