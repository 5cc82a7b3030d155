"""What a full evaluation computes for a model and a data set, from how many images, and what it leaves out."""

from dataclasses import dataclass, field

import torch

from training.data.dataset import Dataset
from training.evaluation.full.small_cnn import BATCH, training_steps

COMPARED = 10_000
"""Samples whose features and pixels are compared with real images: the same as in `training.evaluation.evaluate`."""

CLASSIFIER_IMAGES = 60_000
TOLD_APART = 20_000
"""The most images of each kind that the network of the two-sample test is trained on."""

ACCURACY_SCORE, CLASS_FRECHET, COPIES = "accuracy_score", "class_frechet", "copies"
"""The figures that not every model has, as `FullPlan.missing` names them."""

DRAW = "drawing samples"
LEARN, LEARN_REAL = "a classifier learns from samples", "a classifier learns from real images"
TELL, TELL_REAL = "telling samples from real images", "telling real images from real images"
COMPARE = "comparing features"
FIND_COPIES = "looking for copies"


@dataclass(frozen=True)
class FullPlan:
    """What a full evaluation computes, and from how many images.

    Attributes:
        classifier_images: the number of images that each classifier of the accuracy score is trained on.
        told_apart: the number of images of each kind that the network of the two-sample test is trained on.
        tested: the number of images of each kind that it is tested on.
        compared: the number of samples that are compared with real images.
        steps: the number of steps of each training; None: as many as `training_steps` says.
        missing: the reasons why figures are left out, by name.
    """

    classifier_images: int
    told_apart: int
    tested: int
    compared: int = COMPARED
    steps: int | None = None
    missing: dict[str, str] = field(default_factory=dict)

    @property
    def drawn(self) -> int:
        """The number of samples to draw."""
        labelled = 0 if ACCURACY_SCORE in self.missing else self.classifier_images
        return max(labelled, self.told_apart + self.tested, self.compared)

    def costs(self, *, pixels: int, trained: int) -> dict[str, float]:
        """Return the steps of the evaluation with their rough costs in seconds of one core, for the time left.

        Args:
            pixels: the pixels of an image.
            trained: the number of training images.
        """

        def training(images: int) -> float:
            steps = training_steps(images) if self.steps is None else self.steps
            return steps * BATCH * pixels / 784 / 4000

        costs = {DRAW: self.drawn / 5000} | dict.fromkeys((TELL, TELL_REAL), training(2 * self.told_apart))
        if ACCURACY_SCORE not in self.missing:
            costs |= dict.fromkeys((LEARN, LEARN_REAL), training(self.classifier_images))
        costs[COMPARE] = self.compared / 500
        if COPIES not in self.missing:
            costs[FIND_COPIES] = 1.6 * self.compared * trained * pixels / 2e10
        return costs


def plan_full_evaluation(
    data: Dataset,
    *,
    head_starts: torch.Tensor | None,
    trained_on: bool,
    compared: int = COMPARED,
    steps: int | None = None,
) -> FullPlan:
    """Decide which figures can be computed, and choose the numbers of images, which are smaller for few images.

    Args:
        data: the data set to compare with, with only the training images that G was trained on.
        head_starts: G's constants for its classes, [K] float32 (`Ballots.head_starts`); None if it has no classes.
        trained_on: whether G was trained on the data set.
        compared: the number of samples that are compared with real images.
        steps: the number of steps of each training; None: as many as `training_steps` says.
    """
    trained = len(data.images)
    missing: dict[str, str] = {}
    if reason := _why_no_labels(data, head_starts):
        missing[ACCURACY_SCORE] = reason
        if data.digits != 1:  # the digit classifier reads digits
            missing[CLASS_FRECHET] = reason
    if not trained_on:
        missing[COPIES] = "these are not the images that the model was trained on"
    return FullPlan(
        classifier_images=min(CLASSIFIER_IMAGES, trained),
        told_apart=min(TOLD_APART, trained * 2 // 5),
        tested=min(COMPARED, trained // 5, len(data.held_out)),
        compared=compared,
        steps=steps,
        missing=missing,
    )


def _why_no_labels(data: Dataset, head_starts: torch.Tensor | None) -> str | None:
    """Return the reason why samples and held-out images do not have the same labels; None if they do."""
    if head_starts is None:
        return "the model has no classes, so its samples have no labels"
    if data.held_out_labels is None:
        return "the held-out images have no labels"
    if len(head_starts) != data.classes:
        return f"the model has {len(head_starts)} classes, but the images have {data.classes}"
    return None
