"""The features of a data set: read from the file where they are kept, or made, which takes minutes."""

from collections.abc import Callable
from pathlib import Path

import torch

from training.config import FeatureKind
from training.data.dataset import Dataset
from training.evaluation.features import BuiltIn, Extractor, name_of
from training.evaluation.learned.network import RULE, LearnedFacts, LearnedFeatures, read_learned_features
from training.evaluation.learned.own_classifier import train_own_classifier
from training.evaluation.learned.self_supervised import train_self_supervised


def obtain_features(
    kind: FeatureKind,
    dataset: Dataset,
    *,
    file: Path | None = None,
    keep: bool = False,
    say: Callable[[str], None] | None = None,
    steps: int | None = None,
) -> Extractor:
    """Return the features of a data set, in which its figures are computed.

    Args:
        kind: the kind of features; digits always have those of the digit classifier.
        dataset: the data set, with only the training images that G is trained on.
        file: where features may be kept; None: nowhere.
        keep: whether to write new features into the file.
        say: is given lines about what is done; None: nothing is said.
        steps: the number of training steps; None: as many as `training_steps` says.

    Raises:
        DataError: the file is damaged.
        NotFiniteError: the loss of the training is NaN or infinite.
        OSError: the disk is full or cannot be written.
    """
    if dataset.digits or kind == "built-in":
        return BuiltIn(dataset.digits)
    say = say or _say_nothing
    data_sha256 = dataset.fingerprint()
    if file is not None and file.exists():
        found = read_learned_features(file)
        if (found.facts.kind, found.facts.rule, found.facts.data_sha256) == (kind, RULE, data_sha256):
            return found
        say(
            f"warning: {file} holds features of another kind, of other data or of another release, so new ones are "
            "made: figures in the old ones cannot be compared with figures in the new ones"
        )
    made = _make(kind, dataset, data_sha256=data_sha256, say=say, steps=steps)
    if file is not None and keep:
        made.write(file)
    return made


def _make(
    kind: FeatureKind, dataset: Dataset, *, data_sha256: str, say: Callable[[str], None], steps: int | None
) -> LearnedFeatures:
    train = train_own_classifier if kind == "classifier" else train_self_supervised
    network, accuracy = train(dataset, steps=steps, say=say)
    facts = LearnedFacts(
        kind="classifier" if kind == "classifier" else "self-supervised",
        rule=RULE,
        data_sha256=data_sha256,
        channels=dataset.shape.channels,
        side=dataset.shape.height,
        outputs=network.head.out_features,
        accuracy=accuracy,
        threads=torch.get_num_threads(),
    )
    learned = LearnedFeatures(network, facts)
    say(f"features: {name_of(learned.figures)} on held-out images{_compared_with_guessing(kind, dataset)}")
    return learned


def _compared_with_guessing(kind: FeatureKind, dataset: Dataset) -> str:
    """Return the accuracy of always naming the most frequent class, as the end of a sentence."""
    if kind != "classifier" or dataset.labels is None:
        return ""
    share = float(torch.bincount(dataset.labels).max()) / len(dataset.labels)
    return f"; {share:.3f} would be right by always naming the most frequent class"


def _say_nothing(_line: str) -> None:
    pass
