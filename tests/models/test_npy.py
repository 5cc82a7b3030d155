"""The header of an .npy file, compared with NumPy's own writer."""

import io

import numpy as np
import pytest

from models.npy import npy_header


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.int64])
@pytest.mark.parametrize("shape", [(), (1,), (3, 28, 28), (100_000, 100)])
def test_header_and_bytes_are_the_file_that_numpy_writes(shape: tuple[int, ...], dtype: type[np.generic]) -> None:
    array = np.zeros(shape, dtype=dtype)
    file = io.BytesIO()
    np.save(file, array)
    assert npy_header(shape, dtype) + array.tobytes() == file.getvalue()
