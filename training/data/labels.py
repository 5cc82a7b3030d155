"""Class labels as data give them (numbers, text, one-hot rows), and the classes 0 … K − 1 that are made of them."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from training.data.text import as_utf8_text, name
from training.errors import DataError


class Labels(NamedTuple):
    """The class of each image, [N] int64 from 0 to K − 1, and the K names of the classes."""

    values: NDArray[np.int64]
    names: tuple[str, ...]


def number_labels(labels: NDArray[np.generic], *, where: str) -> Labels:
    """Number the classes in the order of their values in the labels; the name of a class is its value as text.

    A name is UTF-8 text (`as_utf8_text`), also if it is a folder's.

    Args:
        labels: [N] or [N, 1] whole numbers ≥ 0 or text, or one-hot rows [N, K] with one 1 each.
        where: name of the file and the array, for error messages.

    Raises:
        DataError: the labels have another form, or two of them would become the same name.
    """
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim == 2 and labels.shape[1] > 1 and _is_one_hot(labels):
        labels = labels.argmax(axis=1)
    if labels.ndim != 1 or not (labels.dtype.kind in "US" or _is_whole(labels)):
        raise DataError(
            f"{where} must be [N] or [N, 1] whole numbers ≥ 0 or text, or one-hot rows [N, K], not "
            f"{list(labels.shape)} {labels.dtype}{_smallest(labels)}: write one label for each image"
        )
    if labels.dtype.kind in "US":
        labels = _as_utf8(labels, where=where)
    values, numbers = np.unique(labels, return_inverse=True)
    names = (value if isinstance(value, str) else str(int(value)) for value in values.tolist())
    return Labels(numbers.reshape(-1).astype(np.int64), tuple(names))


def check_number(labels: Labels | None, images: int, path: Path, *, of: str = "") -> None:
    """Check that there is a label for each image, if there are labels at all.

    Raises:
        DataError: there is not.
    """
    if labels is not None and len(labels.values) != images:
        raise DataError(
            f"{name(path)} has {images:,} {of}images but {len(labels.values):,} {of}labels: give one label for each"
        )


def number_as(labels: Labels | None, others: Labels | None) -> Labels | None:
    """Return the labels `others` with the class numbers of `labels`; −1 for a class that `labels` lacks."""
    if labels is None or others is None:
        return None
    numbers = {label: number for number, label in enumerate(labels.names)}
    renumbered = np.array([numbers.get(label, -1) for label in others.names], dtype=np.int64)
    return Labels(renumbered[others.values], labels.names)


def _as_utf8(labels: NDArray[np.generic], *, where: str) -> NDArray[np.str_]:
    """Return labels as text that can be written as UTF-8. Bytes that are not UTF-8 become escapes.

    Raises:
        DataError: two different labels become the same text: the one has a byte that is not UTF-8, and the other one
            its escape as text. They would be one class.
    """
    given: dict[str, str | bytes] = {}
    for label in dict.fromkeys(labels.tolist()):
        text = label.decode(errors="backslashreplace") if isinstance(label, bytes) else as_utf8_text(label)
        other = given.setdefault(text, label)
        if other != label:
            raise DataError(f"{where} has the labels {label!a} and {other!a}, which both become {text!r}: rename one")
    texts = {label: text for text, label in given.items()}
    return np.array([texts[label] for label in labels.tolist()], dtype=np.str_)


def _is_one_hot(labels: NDArray[np.generic]) -> bool:
    if labels.dtype.kind not in "biuf":
        return False
    return bool(np.isin(labels, (0, 1)).all() and (labels.astype(np.int64).sum(axis=1) == 1).all())


def _is_whole(labels: NDArray[np.generic]) -> bool:
    if labels.dtype.kind not in "biuf":
        return False
    numbers = labels.astype(np.float64)
    return bool(np.isfinite(numbers).all() and (numbers >= 0).all() and (numbers == np.floor(numbers)).all())


def _smallest(labels: NDArray[np.generic]) -> str:
    if labels.ndim != 1 or labels.dtype.kind not in "if" or not labels.size:
        return ""
    return f" from {labels.min()} to {labels.max()}"
