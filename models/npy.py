"""The header of NumPy's .npy files, for writers that append an array's bytes piece by piece."""

import io

import numpy as np


def npy_header(shape: tuple[int, ...], dtype: type[np.generic]) -> bytes:
    """Return the header of an .npy file, format version 1.0. The array's bytes must follow it in C order.

    Args:
        shape: shape of the array.
        dtype: element type of the array, such as `np.uint8`.
    """
    buffer = io.BytesIO()
    description = np.lib.format.dtype_to_descr(np.dtype(dtype))
    np.lib.format.write_array_header_1_0(buffer, {"descr": description, "fortran_order": False, "shape": shape})
    return buffer.getvalue()
