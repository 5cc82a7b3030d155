"""Class-conditional networks: a part of the latent chooses the class that G draws.

The last K coordinates of a latent are called its ballots, one for each of K classes. The latent chooses ("names") the
class with the largest sum of ballot and head start. Head starts are constants of G; they make each class as frequent
among the prior's latents as in the data. Ballots have the prior's distribution, so the latents of a conditional G can
be drawn, sent in a request, interpolated and projected like those of any other G. To request a class, swap its ballot
with the largest one.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from models.errors import ClassError

MAX_CLASSES = 1000
"""The limit on classes: a data set with more of them probably holds something other than class labels."""

SHARPNESS = 12.0
"""β in softmax(β·ballots). The softmax is near 0 or 1, except near ties, where the class changes smoothly."""


class Ballots(nn.Module):
    """The first layer of a conditional G: it turns the coordinates that choose the class into a nearly one-hot vector.

    These are the last K of z_dim coordinates, the ballots: [N, z_dim] float32 → [N, z_dim] float32. They become
    √K·softmax(β·(ballots + head starts)), where β is `SHARPNESS`; the other coordinates do not change. With the factor
    √K the K values have the norm that K coordinates of the prior have on average.

    Args:
        classes: K, the number of classes.

    Attributes:
        head_starts: [K] float32, constants that make each class as frequent as wanted. The initial 0 makes all classes
            equally frequent; `models.networks.head_starts` computes others.
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

    def along(self, z: torch.Tensor, directions: torch.Tensor) -> torch.Tensor:
        """Return the derivatives of `forward` at a latent [1, z_dim] along directions [N, z_dim]: [N, z_dim]."""
        chosen = self(z)[:, -self.classes :]
        weighted = chosen * directions[:, -self.classes :]
        changes = SHARPNESS * (weighted - chosen * weighted.sum(dim=1, keepdim=True) / math.sqrt(self.classes))
        return torch.cat([directions[:, : -self.classes], changes], dim=1)

    def of_array(self, z: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the same as `forward`, bit for bit, for a NumPy array [N, z_dim] float32, without gradients.

        For few rows this takes a third of the time.
        """
        return np.concatenate([z[:, : -self.classes], self.of_votes(z[:, -self.classes :])], axis=1)

    def of_votes(self, votes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return what `of_array` returns for the ballots alone: [N, K] float32 → [N, K] float32."""
        votes = votes + self.head_starts.numpy()
        votes *= SHARPNESS
        chosen: NDArray[np.float32] = torch.softmax(torch.from_numpy(votes), dim=1).numpy()
        chosen *= math.sqrt(self.classes)
        return chosen


class ConditionalDiscriminator(nn.Module):
    """A D with one logit for each class, and one logit for all classes together.

    Args:
        body: the network [N, C, H, W] float32 in [−1, 1] → [N, K], for each k the logit of "this is a real image of
            class k".
    """

    def __init__(self, body: nn.Sequential) -> None:
        super().__init__()
        self.body = body

    def class_logits(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return each image's logit for its own label, [N]; labels [N] int64."""
        logits: torch.Tensor = self.body(images).gather(1, labels[:, None])[:, 0]
        return logits

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return one logit for each image, [N], independent of the class: log mean_k exp(logit_k).

        Salimans et al. 2016 (arXiv 1606.03498), section 5, use D(x) = Z/(Z + 1), where Z is the sum of the classes'
        exponentials. Here Z is their mean, so that a D with equal logits for all classes has that logit.
        """
        logits = self.body(images).float()
        return torch.logsumexp(logits, dim=1) - math.log(logits.shape[1])


def ballots_of(generator: nn.Module) -> Ballots:
    """Return the `Ballots` layer of a conditional G."""
    return next(layer for layer in generator.modules() if isinstance(layer, Ballots))


def check_class(label: int | None, *, classes: int) -> None:
    """Check that a model has a class. None stands for no class, and is allowed.

    Args:
        label: the requested class, or None.
        classes: the model's number of classes; 0 for a model without classes.

    Raises:
        ClassError: the model does not have this class, or has no classes.
    """
    if label is not None and not 0 <= label < classes:
        raise ClassError(label, classes=classes)


def labels_of(latents: torch.Tensor, *, head_starts: torch.Tensor) -> torch.Tensor:
    """Return the class that each latent chooses: [N, z_dim] float32 → [N] int64.

    Args:
        latents: [N, z_dim]; only the last K coordinates, the ballots, are read.
        head_starts: [K] float32, G's constants for its classes (`Ballots.head_starts`).
    """
    return (latents[:, -len(head_starts) :] + head_starts).argmax(dim=1)


def ask_for_class(
    latents: NDArray[np.float32], label: int | NDArray[np.int64], *, head_starts: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return a copy of latents, changed so that each chooses a requested class.

    In each latent, two sums of ballot and head start change places: that of the requested class and the largest one. If
    all head starts are equal, this swaps the two ballots, and by symmetry the results are distributed exactly like the
    prior's latents of that class.

    Args:
        latents: [n, z_dim] float32; only the last K coordinates, the ballots, are read and changed.
        label: the class of all rows, or [n] int64, one for each row; 0 ≤ label < K.
        head_starts: [K] float32, G's constants for its classes (`Ballots.head_starts`).

    Raises:
        ValueError: G does not have one of the classes.
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


def generator_head(classes: int) -> list[nn.Module]:
    """Return the first layers of a G with `classes` classes: `Ballots`, or none if `classes` is 0 (unconditional)."""
    return [Ballots(classes)] if classes else []


def with_logits(layers: list[nn.Module], width: int, *, classes: int) -> nn.Module:
    """Build D from `layers`, which end with [N, width], and a last layer with one logit, or one for each class."""
    if not classes:
        return nn.Sequential(*layers, nn.Linear(width, 1), nn.Flatten(0))
    return ConditionalDiscriminator(nn.Sequential(*layers, nn.Linear(width, classes)))
