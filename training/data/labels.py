"""Class labels as data give them (numbers, text, one-hot rows), and the classes 0 … K − 1 that are made of them."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from training.data.folder_tree import as_utf8_text
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
        DataError: the labels have another form.
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
        labels = _as_utf8(labels)
    values, numbers = np.unique(labels, return_inverse=True)
    names = (value if isinstance(value, str) else str(int(value)) for value in values.tolist())
    return Labels(numbers.reshape(-1).astype(np.int64), tuple(names))


def _as_utf8(labels: NDArray[np.generic]) -> NDArray[np.str_]:
    """Return labels as text that can be written as UTF-8. Bytes that are not UTF-8 become escapes, so no two merge."""
    texts = [
        text.decode(errors="backslashreplace") if isinstance(text, bytes) else as_utf8_text(text)
        for text in labels.tolist()
    ]
    return np.array(texts, dtype=np.str_)


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
