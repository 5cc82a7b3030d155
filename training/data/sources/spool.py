"""Pictures of one size, in the order in which they are read: in memory, or in a file that is mapped afterwards."""

import io
import mmap
import tempfile
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

BLOCK = 1024
"""The number of pictures that are copied at once."""


class Spool:
    """Takes pictures [H, W] or [H, W, 3] uint8 one by one. From the first one in colour on, all are RGB.

    Args:
        folder: the folder in which a temporary file is made; None keeps the pictures in memory.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._file = self._new_file()
        self._shape: tuple[int, ...] = ()
        self._count = 0
        self._mapped: mmap.mmap | None = None

    def append(self, picture: NDArray[np.uint8]) -> None:
        """Add a picture, which must have the height and width of the first one.

        Raises:
            OSError: the disk is full.
        """
        if not self._count:
            self._shape = picture.shape
        elif picture.ndim > len(self._shape):
            self._to_colour()
        elif picture.ndim < len(self._shape):
            picture = np.repeat(picture[..., None], 3, axis=2)
        self._file.write(np.ascontiguousarray(picture).data)
        self._count += 1

    def array(self) -> NDArray[np.uint8]:
        """Return all pictures, [N, H, W] or [N, H, W, 3] uint8, read-only. No picture can be added afterwards."""
        shape = (self._count, *self._shape)
        if isinstance(self._file, io.BytesIO):
            return np.frombuffer(self._file.getbuffer(), dtype=np.uint8).reshape(shape)
        if not self._count:
            return np.empty(shape, dtype=np.uint8)
        self._file.flush()
        self._mapped = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        return np.frombuffer(self._mapped, dtype=np.uint8).reshape(shape)

    def release(self) -> None:
        """Take the pages that `array` has read out of the memory; they are read again if they are needed."""
        if self._mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
            self._mapped.madvise(mmap.MADV_DONTNEED)

    def close(self) -> None:
        """Close the temporary file, which removes it. What `array` returned stays as it is."""
        if not isinstance(self._file, io.BytesIO):
            self._file.close()

    def _new_file(self) -> BinaryIO:
        if self._folder is None:
            return io.BytesIO()
        return tempfile.TemporaryFile(dir=self._folder)

    def _to_colour(self) -> None:
        """Write the pictures so far again, with three equal channels."""
        old, new = self._file, self._new_file()
        size = int(np.prod(self._shape))
        old.seek(0)
        for first in range(0, self._count, BLOCK):
            grey = np.frombuffer(old.read(size * min(BLOCK, self._count - first)), dtype=np.uint8)
            new.write(np.repeat(grey, 3).data)
        old.close()
        self._file, self._shape = new, (*self._shape, 3)
