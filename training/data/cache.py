"""A cache of decoded pictures on the disk: made once, then mapped into memory, so that a start takes seconds.

    FOLDER/KEY/images.npy      [N, C, H, W] uint8, the training images in their final order
    FOLDER/KEY/held_out.npy    [M, C, H, W] uint8
    FOLDER/KEY/labels.npy, held_out_labels.npy    int64, if there are labels
    FOLDER/KEY/data.json       the other facts, and where the pictures came from

KEY is a hash of the files' paths, sizes and times of change, and of the way in which they are read: if one of them
changes, the pictures are read again. An entry is made in `KEY-PID.partial` and renamed when it is whole. One process at
a time makes it, and the others wait. Every entry can be deleted at any time.
"""

import errno
import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from models import __version__
from models.lock import is_still_at, lock
from models.npy import npy_header
from training.data.reading import Fit
from training.data.sources.picture_list import PictureSource

FORMAT = 1
FEW_PICTURES, FEW_BYTES = 1_000, 16 * 2**20
"""Fewer pictures than this, in files of fewer bytes, are quickly read each time and have no cache."""

BLOCK = 1024
"""The number of pictures that are copied at once."""

IMAGES, HELD_OUT = "images.npy", "held_out.npy"
_LABELS, _HELD_OUT_LABELS, _FACTS = "labels.npy", "held_out_labels.npy", "data.json"
_PARTIAL, _LOCK = ".partial", ".lock"
_WAIT_S = 0.2


class CacheFacts(BaseModel):
    """The contents of `data.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    class_names: tuple[str, ...]
    skipped: tuple[str, ...]
    notes: tuple[str, ...]
    not_square: int


@dataclass(frozen=True)
class StoredPictures:
    """What a cache holds. The tensors are mapped files: their pages are read when they are needed."""

    images: torch.Tensor
    held_out: torch.Tensor
    labels: torch.Tensor | None
    held_out_labels: torch.Tensor | None
    facts: CacheFacts


@dataclass(frozen=True)
class CacheEntry:
    """The place of some pictures in a cache; it may not exist yet."""

    path: Path

    def read(self) -> StoredPictures | None:
        """Map the pictures; None if there is no entry, or it is damaged: then it is removed."""
        if not self.path.is_dir():
            return None
        try:
            facts = CacheFacts.model_validate_json((self.path / _FACTS).read_bytes())
            stored = StoredPictures(
                map_images(self.path / IMAGES),
                map_images(self.path / HELD_OUT),
                _read_labels(self.path / _LABELS),
                _read_labels(self.path / _HELD_OUT_LABELS),
                facts,
            )
            os.utime(self.path)  # so that a person sees which entries are in use
        except (OSError, ValueError, ValidationError, EOFError):
            shutil.rmtree(self.path, ignore_errors=True)
            return None
        return stored

    @contextmanager
    def building(self) -> Iterator[Path]:
        """Give a new folder for the files of the entry, and make it the entry if the block succeeds.

        Raises:
            OSError: the disk is full or cannot be written.
        """
        partial = self.path.with_name(f"{self.path.name}-{os.getpid()}{_PARTIAL}")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        try:
            yield partial
            shutil.rmtree(self.path, ignore_errors=True)
            partial.rename(self.path)
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock of the entry, so that one process makes it; wait for as long as another one does.

        Raises:
            OSError: the lock file cannot be made.
        """
        file = self.path.with_name(self.path.name + _LOCK)
        told = False
        while True:
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                if lock(descriptor):
                    if not is_still_at(descriptor, file):  # the process that held it has just removed the file
                        continue
                    try:
                        yield
                    finally:
                        file.unlink(missing_ok=True)
                    return
            finally:
                os.close(descriptor)
            if not told:
                print("another process is reading the same pictures: waiting for it", file=sys.stderr)
                told = True
            time.sleep(_WAIT_S)

    def size(self) -> int:
        """Return the number of bytes of the entry."""
        return sum(file.stat().st_size for file in self.path.iterdir())


def find_entry(folder: Path, source: PictureSource, *, side: int | None, fit: Fit | None, rule: int) -> CacheEntry:
    """Return the place of pictures in a cache; the folder is made, and what killed processes left in it is removed.

    Raises:
        OSError: the folder cannot be made or written, or a file of the data cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
    _remove_partial(folder)
    way = [FORMAT, __version__, PIL.__version__, rule, side, fit or ("crop" if side else None)]
    digest = hashlib.sha256(repr((way, os.fsencode(source.path.absolute()))).encode())
    for file in source.files:
        status = file.stat()
        facts = (os.fsencode(file.absolute()), status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        digest.update(repr(facts).encode())
    return CacheEntry(folder / digest.hexdigest()[:32])


def is_worthwhile(source: PictureSource) -> bool:
    """Whether pictures are so many, or their files so large, that a cache is made."""
    pictures = len(source.train) + (0 if source.test is None else len(source.test))
    return pictures >= FEW_PICTURES or sum(file.stat().st_size for file in source.files) >= FEW_BYTES


def default_folder() -> Path | None:
    """Return the folder for caches by the XDG rules; None if this person has no home folder."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    try:
        base = Path(given) if Path(given).is_absolute() else Path.home() / ".cache"
    except RuntimeError:
        return None
    return base / "gan-service" / "pictures"


def write_images(path: Path, images: NDArray[np.uint8], order: NDArray[np.int64]) -> torch.Tensor:
    """Write images [·, H, W] or [·, H, W, 3] uint8 in an order, as [N, C, H, W], and return the mapped file.

    Raises:
        OSError: the disk is full.
    """
    channels = images.shape[3:] or (1,)
    with path.open("wb") as file:
        file.write(npy_header((len(order), *channels, *images.shape[1:3]), np.uint8))
        for first in range(0, len(order), BLOCK):
            block = images[order[first : first + BLOCK]]
            file.write(np.ascontiguousarray(block.transpose(0, 3, 1, 2) if block.ndim == 4 else block).data)
    return map_images(path)


def write_facts(
    folder: Path, labels: torch.Tensor | None, held_out_labels: torch.Tensor | None, facts: CacheFacts
) -> None:
    """Write the labels and the facts beside the images.

    Raises:
        OSError: the disk is full.
    """
    for file, of in ((_LABELS, labels), (_HELD_OUT_LABELS, held_out_labels)):
        if of is not None:
            np.save(folder / file, of.numpy())
    (folder / _FACTS).write_text(json.dumps(facts.model_dump(), indent=1), encoding="utf-8")


def map_images(path: Path) -> torch.Tensor:
    """Map a file of images [N, C, H, W] uint8. Writing into the tensor does not change the file.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no whole file of this kind.
    """
    mapped = np.load(path, mmap_mode="c", allow_pickle=False)
    if mapped.dtype != np.uint8 or mapped.ndim != 4:
        raise ValueError(f"{path} holds {list(mapped.shape)} {mapped.dtype}")
    return torch.from_numpy(mapped)


def _read_labels(path: Path) -> torch.Tensor | None:
    return torch.from_numpy(np.load(path, allow_pickle=False)) if path.exists() else None


def _remove_partial(folder: Path) -> None:
    """Remove entries that are not whole, but for those that a process is making."""
    for partial in folder.glob(f"*{_PARTIAL}"):
        file = folder / f"{partial.name.partition('-')[0]}{_LOCK}"
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if lock(descriptor) and is_still_at(descriptor, file):
                shutil.rmtree(partial, ignore_errors=True)
                file.unlink(missing_ok=True)
        finally:
            os.close(descriptor)
