"""IDX, the format that MNIST comes in: a magic number, big-endian sizes, then bytes."""

import gzip
import lzma
import struct
import zlib
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from training.errors import DataError

_UNSIGNED_BYTE = 0x08
MAX_RAW_BYTES = 8 * 2**30


def is_idx(path: Path) -> bool:
    """Whether a file's name is that of an IDX file, plain or compressed by gzip or xz."""
    return path.is_file() and unpacked_name(path).endswith(("-ubyte", ".idx"))


def unpacked_name(path: Path) -> str:
    """Return a file's name without the suffix that gzip or xz adds."""
    return path.name.removesuffix(".xz").removesuffix(".gz")


def read_idx(path: Path, *, dimensions: int) -> NDArray[np.uint8]:
    """Return the array of an IDX file of unsigned bytes with this many dimensions.

    Raises:
        DataError: the file cannot be unpacked, has another type, or is shorter or longer than its header says.
    """
    return parse_idx(read_raw(path), path, dimensions=dimensions)


def read_raw(path: Path) -> bytes:
    """Return a file's bytes, unpacked if its name ends in .xz or .gz.

    Raises:
        DataError: the file cannot be read or unpacked.
    """
    try:
        with _open(path) as file:
            return file.read(MAX_RAW_BYTES)
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {error}; fetch it again") from error


def parse_idx(data: bytes, path: Path, *, dimensions: int) -> NDArray[np.uint8]:
    """Return the array in the bytes of an IDX file; `path` is only used in error messages.

    Raises:
        DataError: the data have another type, or are shorter or longer than the header says.
    """
    header = struct.Struct(f">2xBB{dimensions}I")
    if len(data) < header.size or data[:2] != b"\0\0":
        raise DataError(f"{path} is not an IDX file: its header is missing or damaged; fetch it again")
    kind, seen_dimensions, *shape = header.unpack_from(data)
    if kind != _UNSIGNED_BYTE or seen_dimensions != dimensions:
        raise DataError(
            f"{path} holds {seen_dimensions}-dimensional data of IDX type {kind:#04x}; "
            f"{dimensions}-dimensional unsigned bytes ({_UNSIGNED_BYTE:#04x}) are needed"
        )
    body = np.frombuffer(data, dtype=np.uint8, offset=header.size)
    expected = int(np.prod(shape, dtype=object))
    if body.size != expected:
        raise DataError(f"{path} should have {expected:,} bytes of data but has {body.size:,}; fetch it again")
    return body.reshape(shape)


def _open(path: Path) -> IO[bytes] | gzip.GzipFile | lzma.LZMAFile:
    if path.suffix == ".xz":
        return lzma.open(path)
    if path.suffix == ".gz":
        return gzip.open(path)
    return path.open("rb")
