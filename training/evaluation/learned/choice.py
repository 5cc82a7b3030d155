"""Which features a data set gets: those of a network need enough images, and other sets keep the built-in features."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from training.config import FeatureKind
from training.data.dataset import Dataset
from training.errors import UsageError
from training.evaluation.features import CLASSIFIER_ACCURACY, SELF_SUPERVISED_ACCURACY

FeatureSetting: TypeAlias = Literal["auto", "wavelets", "classifier", "self-supervised"]
"""The values of `--features` that need no other file."""

MIN_IMAGES = 1000
"""With fewer training images, the network learns too little for `auto` to choose it."""

MIN_IMAGES_OF_A_CLASS = 20
"""The mean number of training images of a class below which `auto` does not choose a classifier."""


@dataclass(frozen=True)
class FeatureChoice:
    """The features that a data set gets, and why.

    Attributes:
        kind: the kind of features.
        reason: the reason why `auto` did not choose a network's features, as the end of a sentence; None: it did, or
            the setting is not `auto`.
    """

    kind: FeatureKind
    reason: str | None = None


def choose_features(setting: FeatureSetting, dataset: Dataset) -> FeatureChoice:
    """Choose the features of a data set.

    Args:
        setting: `auto` takes the classifier where there are enough labelled images, and wavelets otherwise; digits
            always have the features of the digit classifier.
        dataset: the data set, with only the training images that G is trained on.

    Raises:
        UsageError: the data have no features of this kind.
    """
    if dataset.digits:
        if setting != "auto":
            raise UsageError(
                f"--features {setting}: {dataset.name} is compared in the digit classifier's features, so that its "
                "figures can be compared with those of other models; leave the option out"
            )
        return FeatureChoice("built-in")
    if setting == "wavelets":
        return FeatureChoice("built-in")
    if setting == "classifier" and dataset.classes < 2:
        raise UsageError(
            f"--features classifier: {dataset.name} has {dataset.classes} classes, and a classifier needs at least 2: "
            "give the images as folders of classes, or choose self-supervised or wavelets"
        )
    if setting == "auto":
        reason = _why_no_classifier(dataset)
        return FeatureChoice("built-in", reason) if reason else FeatureChoice("classifier")
    return FeatureChoice(setting)


def kind_of(figures: Mapping[str, float]) -> FeatureKind:
    """Return the kind of features in which the figures of a model folder were computed."""
    if CLASSIFIER_ACCURACY in figures:
        return "classifier"
    return "self-supervised" if SELF_SUPERVISED_ACCURACY in figures else "built-in"


def _why_no_classifier(dataset: Dataset) -> str | None:
    images, classes = len(dataset.images), dataset.classes
    if classes < 2:
        return "the images have no classes that a classifier could learn"
    wanted = max(MIN_IMAGES, MIN_IMAGES_OF_A_CLASS * classes)
    if images < wanted:
        return f"a classifier of {classes:,} classes needs {wanted:,} training images, and there are {images:,}"
    return None
