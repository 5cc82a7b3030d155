"""Labels in every form that data give them."""

import os

import numpy as np
import pytest
from numpy.typing import NDArray

from training.data.labels import number_labels
from training.errors import DataError


@pytest.mark.parametrize(
    ("labels", "values", "names"),
    [
        (np.array([0, 1, 2, 1]), [0, 1, 2, 1], ("0", "1", "2")),
        (np.array([200, 0, 100, 0], np.uint8), [2, 0, 1, 0], ("0", "100", "200")),
        (np.array([[3], [1], [3]]), [1, 0, 1], ("1", "3")),
        (np.array([[0, 0, 1], [1, 0, 0], [0, 0, 1]]), [1, 0, 1], ("0", "2")),
        (np.array([[0.0, 1.0], [1.0, 0.0]], np.float32), [1, 0], ("0", "1")),
        (np.array([[False, True], [True, False]]), [1, 0], ("0", "1")),
        (np.array(["owl", "cat", "owl"]), [1, 0, 1], ("cat", "owl")),
        (np.array([["owl"], ["cat"]]), [1, 0], ("cat", "owl")),
        (np.array(["ä".encode(), b"cat"]), [1, 0], ("cat", "ä")),
        (np.array([2.0, 5.0]), [0, 1], ("2", "5")),
        (np.array([True, False]), [1, 0], ("0", "1")),
        (np.array([2**40, 7]), [1, 0], ("7", str(2**40))),
        (np.array([2**63, 2**64 - 1, 7], np.uint64), [1, 2, 0], ("7", str(2**63), str(2**64 - 1))),
        (np.array([2.0**63, 2.0**70, 7]), [1, 2, 0], ("7", str(2**63), str(2**70))),
    ],
)
def test_forms(labels: NDArray[np.generic], values: list[int], names: tuple[str, ...]):
    seen = number_labels(labels, where="a.npz: labels")
    assert seen.values.tolist() == values
    assert seen.values.dtype == np.int64
    assert seen.names == names


@pytest.mark.parametrize(
    ("labels", "seen"),
    [
        (np.array([0, -1]), r"\[2\] int64 from -1 to 0"),
        (np.array([0.5, 1.0]), r"\[2\] float64 from 0\.5 to 1\.0"),
        (np.array([np.nan, 1.0]), r"\[2\] float64 from nan"),
        (np.array([[0.3, 0.7], [1, 0]]), r"\[2, 2\] float64:"),
        (np.array([[1, 1], [1, 0]]), r"\[2, 2\] int64:"),
        (np.zeros((2, 3), int), r"\[2, 3\] int64:"),
        (np.zeros((2, 2, 2), int), r"\[2, 2, 2\] int64:"),
        (np.array(3), r"\[\] int64:"),
        (np.array([1j, 2]), r"\[2\] complex128:"),
        (np.array(["2020-01-01"], dtype="datetime64[D]"), r"\[1\] datetime64\[D\]:"),
    ],
)
def test_what_names_no_classes(labels: NDArray[np.generic], seen: str):
    with pytest.raises(DataError, match=f"a.npz: labels must be .*or one-hot rows .*, not {seen}.*write one label"):
        number_labels(labels, where="a.npz: labels")


@pytest.mark.parametrize("labels", [[b"caf\xe8", b"caf\xe9"], [os.fsdecode(b"caf\xe8"), os.fsdecode(b"caf\xe9")]])
def test_text_that_is_not_utf_8_is_escaped_and_not_merged(labels: list[str | bytes]):
    found = number_labels(np.array(labels), where="a.npz: labels")
    assert found.values.tolist() == [0, 1]
    assert len({name.encode() for name in found.names}) == 2


@pytest.mark.parametrize(
    "labels",
    [
        [b"caf\xe9", rb"caf\xe9"],
        [os.fsdecode(b"caf\xe9"), os.fsdecode(b"caf\xe9").encode(errors="backslashreplace").decode()],
    ],
)
def test_a_byte_and_its_escape_are_refused_and_not_merged(labels: list[str | bytes]):
    with pytest.raises(DataError, match=r"a\.npz: labels has the labels .* and .*, which both become .*: rename one"):
        number_labels(np.array(labels), where="a.npz: labels")
