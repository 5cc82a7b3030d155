"""NumPy's .npy files: the header, for writers that add an array's bytes to it piece by piece."""

import io

import numpy as np


def npy_header(shape: tuple[int, ...], dtype: type[np.generic]) -> bytes:
    """The header of an .npy file, format version 1.0; the array's bytes in C order follow it.

    Args:
        shape: of the array.
        dtype: its element type, such as `np.uint8`.
    """
    buffer = io.BytesIO()
    description = np.lib.format.dtype_to_descr(np.dtype(dtype))
    np.lib.format.write_array_header_1_0(buffer, {"descr": description, "fortran_order": False, "shape": shape})
    return buffer.getvalue()
