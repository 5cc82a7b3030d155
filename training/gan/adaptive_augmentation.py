"""Adaptive augmentation: the probability p of each change follows how much D overfits.

Karras et al. 2020 ("Training generative adversarial networks with limited data", arXiv 2006.06676), section 3, name two
measures of overfitting. r_t, the mean sign of D's logits of real images, has no meaning in the relativistic game, whose
losses depend only on differences of logits. So this module uses the other one, for every loss:

    r_v = (E[D(training images)] − E[D(held-out images)]) / (E[D(training images)] − E[D(fakes)])

It does not change if all logits are shifted or scaled. It is 0 if D takes held-out images for real, as it takes the
images that it is trained on, and 1 if it takes them for fakes. If r_v is above the recipe's `augmentation_target`, p
rises, otherwise it falls. Two departures from the paper: r_v is measured on a running mean, because one batch of few
images says little, and p moves faster, because runs here are short.

No weight ever follows a gradient of a held-out image. Held-out images only decide p, one number.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from models.images import to_float
from models.networks.batch_part import Part
from training.data.dataset import Dataset
from training.gan.discriminator_loss import LabelledImages

INTERVAL = 4
"""p is adapted in every N-th step of G (Karras et al. 2020)."""

RAMP_IMAGES = 50_000
"""p moves from 0 to 1 in no fewer real images than these; 500,000 in the paper, whose runs see 25 million."""

MOST = 0.8
"""Largest p. Above about 0.8 too few images stay unchanged, and G learns to draw changed ones (Karras et al. 2020)."""

MEMORY = 0.9
"""The weight of the earlier measurements in the running means."""

HELD_OUT_IMAGES = 1000
"""The most held-out images that D looks at. They are the first ones, which are stratified."""


def labelled_held_out(dataset: Dataset, *, conditional: bool, device: torch.device) -> LabelledImages:
    """Return held-out images for the measure, as uint8, on a device; in a conditional game, those of known classes.

    There are none if a conditional game has no labels for them.
    """
    images, labels = dataset.held_out, dataset.held_out_labels
    if not conditional:
        return LabelledImages(images[:HELD_OUT_IMAGES].to(device))
    if labels is None:
        return LabelledImages(images[:0].to(device))
    known = torch.nonzero(labels >= 0)[:HELD_OUT_IMAGES, 0]
    return LabelledImages(images[known].to(device), labels[known].to(device))


class AdaptiveAugmentation:
    """The probability p of the augmentations, and the running means from which it follows.

    Args:
        probability: p at the start.
        target: the overfitting r_v above which p rises.
        held_out: images that D is not trained on, as uint8, with labels in a conditional game; at least one.

    Attributes:
        probability: p, from 0 to the larger of `MOST` and its start.
    """

    def __init__(self, *, probability: float, target: float, held_out: LabelledImages) -> None:
        self.probability = probability
        self._most = max(MOST, probability)
        self._target = target
        self._held_out = held_out
        self._gap = 0.0  # running mean of E[D(training images)] − E[D(held-out images)]
        self._range = 0.0  # running mean of E[D(training images)] − E[D(fakes)]

    @property
    def overfitting(self) -> float:
        """r_v of the running means, limited to −1 … 1; 0 before the first measurement, or while fakes score higher."""
        return max(-1.0, min(1.0, self._gap / self._range)) if self._range > 0 else 0.0

    @property
    def figures(self) -> dict[str, float]:
        """p and r_v, for an epoch's record."""
        return {"augmentation": round(self.probability, 5), "overfitting": round(self.overfitting, 5)}

    def held_out_batch(self, n: int, *, step: int, part: Part) -> LabelledImages:
        """Return this process's n rows of the next batch of held-out images, as float32 in [−1, 1].

        Batches go through all images in turn; if there are fewer than a batch, some occur several times.

        Args:
            n: the number of rows.
            step: the number of G's steps so far.
            part: the rows of the whole batch that belong to this process.
        """
        images, labels = self._held_out
        whole = part.whole(n)
        order = torch.arange(whole, device=images.device) + step // INTERVAL * whole
        rows = part.of(order % len(images))
        return LabelledImages(to_float(images[rows]), None if labels is None else labels[rows])

    def adapt(self, *, real: float, held_out: float, fake: float, images: int) -> None:
        """Measure the overfitting, and move p.

        Args:
            real: the mean of D's logits of training images.
            held_out: the same of held-out images.
            fake: the same of fakes.
            images: real images that D has seen since the last call.
        """
        weight = 1 - MEMORY if self._gap or self._range else 1.0
        self._gap += weight * (real - held_out - self._gap)
        self._range += weight * (real - fake - self._range)
        move = images / RAMP_IMAGES if self.overfitting > self._target else -images / RAMP_IMAGES
        self.probability = max(0.0, min(self._most, self.probability + move))

    def state(self) -> torch.Tensor:
        """Return all that changes during training: [3] float64."""
        return torch.tensor([self.probability, self._gap, self._range], dtype=torch.float64)

    def load_state(self, state: torch.Tensor) -> None:
        """Continue from what `state` returned.

        Raises:
            ValueError: the tensor has another shape or type, or p is out of range.
        """
        if state.shape != (3,) or state.dtype != torch.float64:
            raise ValueError(f"the augmentation's state is {list(state.shape)} {state.dtype}, not [3] torch.float64")
        probability, gap, spread = state.tolist()
        if not 0 <= probability <= self._most:
            raise ValueError(f"the augmentation's probability is {probability}, not from 0 to {self._most}")
        self.probability, self._gap, self._range = probability, gap, spread


@contextmanager
def buffers_kept(network: nn.Module) -> Iterator[None]:
    """Restore a network's buffers afterwards: running statistics must not contain held-out images."""
    before = [buffer.clone() for buffer in network.buffers()]
    yield
    for buffer, kept in zip(network.buffers(), before, strict=True):
        buffer.copy_(kept)
