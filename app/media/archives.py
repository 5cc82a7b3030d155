"""Streams many images as one npz or zip. The memory in use does not grow with their number.

`zipfile` writes both archives to a sink, from which the bytes are sent on. Entries are stored, not deflated, and have a
fixed time, so equal samples give equal bytes.
"""

import asyncio
import io
import math
import zipfile
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from app.media.png import encode_png
from models.inference.integer_generator import ROWS_AT_ONCE
from models.npy import npy_header

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

CHUNK_BYTES = 2**19
"""The most bytes of images that are drawn and written at once."""

KEPT_BYTES = 8 * 2**20
"""The most bytes of latents that are kept, because the end of the archive needs them again after their images.

This is 20,000 latents of 100 numbers; the others are drawn again.
"""

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a ZIP can name


@dataclass(frozen=True)
class ArchiveContents:
    """n samples that can be drawn in chunks, more than once.

    Attributes:
        first: index of the first image.
        n: number of samples.
        latents: function that makes latents: (start, count) → [count, z_dim] float32, where start counts from the first
            image.
        image_array: shape of one image, (H, W) or (H, W, 3).
        z_dim: number of coordinates of a latent.
    """

    first: int
    n: int
    latents: Callable[[int, int], NDArray[np.float32]]
    image_array: tuple[int, ...]
    z_dim: int
    _kept: dict[int, NDArray[np.float32]] = field(default_factory=dict, init=False, repr=False)

    @property
    def chunk_images(self) -> int:
        """Number of images in each chunk but the last: what `CHUNK_BYTES` hold, in whole calls of G."""
        return max(1, CHUNK_BYTES // math.prod(self.image_array) // ROWS_AT_ONCE) * ROWS_AT_ONCE

    def chunks(self) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Yield (start, latents) of each chunk, in order. The first `KEPT_BYTES` of latents are drawn only once."""
        chunk = self.chunk_images
        for start in range(0, self.n, chunk):
            latents = self._kept.get(start)
            if latents is None:
                latents = self.latents(start, min(chunk, self.n - start))
                if (len(self._kept) + 1) * latents.nbytes <= KEPT_BYTES:
                    self._kept[start] = latents
            yield start, latents


def npz_bytes(samples: ArchiveContents) -> int:
    """Return the length in bytes of the archive that `stream_npz` yields, without drawing its images."""
    sink = _StreamBuffer()
    with zipfile.ZipFile(sink, "w") as archive:
        _begin_images(archive, samples).close()
        _begin_latents(archive, samples).close()
    a_latent = samples.z_dim * np.dtype(np.float32).itemsize
    return len(sink.take()) + samples.n * (math.prod(samples.image_array) + a_latent)


async def stream_npz(samples: ArchiveContents, images: AsyncIterator[NDArray[np.uint8]]) -> AsyncIterator[bytes]:
    """Yield the bytes of an .npz with `images`, [n, …] uint8, and `latents`, [n, z_dim] float32.

    Args:
        samples: the samples to draw.
        images: the images of the samples, one array for each of `samples.chunks()`.
    """
    sink = _StreamBuffer()
    with zipfile.ZipFile(sink, "w") as archive:
        with _begin_images(archive, samples) as file:
            async for chunk in images:
                file.write(np.ascontiguousarray(chunk).data)
                yield sink.take()
        for _ in _write_latents(archive, samples):
            yield sink.take()
    yield sink.take()


async def stream_zip(samples: ArchiveContents, images: AsyncIterator[NDArray[np.uint8]]) -> AsyncIterator[bytes]:
    """Yield the bytes of a ZIP with a PNG for each image, named by its index, and `latents.npy`.

    The arguments are those of `stream_npz`.
    """
    sink = _StreamBuffer()
    index = samples.first
    with zipfile.ZipFile(sink, "w") as archive:
        async for chunk in images:
            await asyncio.to_thread(_write_pngs, archive, chunk, index)
            index += len(chunk)
            yield sink.take()
        for _ in _write_latents(archive, samples):
            yield sink.take()
    yield sink.take()


def _write_pngs(archive: zipfile.ZipFile, images: NDArray[np.uint8], first: int) -> None:
    for index, image in enumerate(images, start=first):
        archive.writestr(_entry(f"{index:06d}.png"), encode_png(image))


def _write_latents(archive: zipfile.ZipFile, samples: ArchiveContents) -> Iterator[None]:
    """Write all latents into an archive, and yield after each chunk, so that the caller can send its bytes."""
    with _begin_latents(archive, samples) as file:
        for _, latents in samples.chunks():
            file.write(np.ascontiguousarray(latents).data)
            yield


def _begin_images(archive: zipfile.ZipFile, samples: ArchiveContents) -> IO[bytes]:
    return _begin_array(archive, "images.npy", (samples.n, *samples.image_array), np.uint8)


def _begin_latents(archive: zipfile.ZipFile, samples: ArchiveContents) -> IO[bytes]:
    return _begin_array(archive, "latents.npy", (samples.n, samples.z_dim), np.float32)


def _begin_array(archive: zipfile.ZipFile, name: str, shape: tuple[int, ...], dtype: type[np.generic]) -> IO[bytes]:
    """Open an entry and write the header of an .npy file. The caller writes the bytes of the array after it."""
    file = archive.open(_entry(name), "w", force_zip64=True)
    file.write(npy_header(shape, dtype))
    return file


def _entry(name: str) -> zipfile.ZipInfo:
    return zipfile.ZipInfo(name, _EPOCH)


class _StreamBuffer(io.RawIOBase):
    """A write-only file in memory. It keeps only the bytes that `take` has not returned yet, and cannot seek."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: "ReadableBuffer") -> int:
        part = bytes(data)
        self._parts.append(part)
        return len(part)

    def take(self) -> bytes:
        taken, self._parts = b"".join(self._parts), []
        return taken
