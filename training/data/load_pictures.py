"""Loads the pictures of a folder, an archive or shards: from the cache, or by reading them."""

import errno
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from training.data.cache import (
    CacheEntry,
    CacheFacts,
    StoredPictures,
    find_entry,
    is_worthwhile,
    write_facts,
    write_images,
)
from training.data.dataset import Dataset, assemble, dataset_of
from training.data.raw_images import RawImages
from training.data.reading import Reading
from training.data.sources.find import find_pictures
from training.data.sources.picture_list import PictureSource
from training.data.sources.reader import read_pictures
from training.data.sources.spool import Spool
from training.data.text import as_utf8_text, name
from training.errors import DataError


def load_pictures(
    source: str, title: str, side: int | None, reading: Reading, *, strict: bool, show_progress: bool
) -> Dataset:
    """Load pictures; the arguments are those of `training.data.dataset.load_dataset`, and `title` is the name.

    Raises:
        DataError: the pictures cannot be read or used, or the disk is full.
        ModuleNotFoundError: the data are Parquet files, and pyarrow is not installed.
    """
    pictures = find_pictures(source, reading)
    read = partial(read_pictures, pictures, side, reading.fit, strict=strict, show_progress=show_progress)
    entry, notes = _entry_of(pictures, side, reading)
    if entry is None:
        data = assemble(read(), pictures.path, title, side, reading)
        return replace(data, notes=(*data.notes, *notes), found_labels=pictures.found_labels)
    stored = entry.read() or _of_this_side(pictures, side, reading)
    if stored is not None:
        notes = (f"the decoded pictures are read from the cache {name(entry.path)}",)
    else:
        try:
            with entry.locked():
                stored = entry.read() or _build(entry, read, pictures.path, title, side, reading)
        except OSError as error:
            if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
                raise
            raise DataError(
                f"the disk of {name(entry.path.parent)} is too full for the decoded pictures: free some space, name "
                "another folder with --cache-dir, or use --no-cache, which reads them into memory"
            ) from error
        notes = (f"the decoded pictures are kept in the cache {name(entry.path)} ({entry.size() / 1e6:,.0f} MB)",)
    if strict and stored.facts.skipped:
        raise DataError(f"a file cannot be read as an image; repair it or take it out: {stored.facts.skipped[0]}")
    return _dataset_of(stored, title, notes, found_labels=pictures.found_labels)


def _entry_of(pictures: PictureSource, side: int | None, reading: Reading) -> tuple[CacheEntry | None, tuple[str, ...]]:
    """Return the place of the pictures in the cache; None if they have none; and notes about a cache that fails."""
    if reading.cache is None or not is_worthwhile(pictures):
        return None, ()
    try:
        return find_entry(reading.cache, pictures, side=side, fit=reading.fit, rule=reading.rule), ()
    except OSError as error:
        note = (
            f"there is no cache of the decoded pictures, because {name(reading.cache)} cannot be written "
            f"({error.strerror or error}): name another folder with --cache-dir"
        )
        return None, (note,)


def _of_this_side(pictures: PictureSource, side: int | None, reading: Reading) -> StoredPictures | None:
    """Return the cache of the pictures in their own size, if all are squares of this side already; None otherwise.

    A run reads such pictures as they are, and `evaluate` asks for the side of the model's images.
    """
    entry, _ = (None, ()) if side is None else _entry_of(pictures, None, reading)
    stored = None if entry is None else entry.read()
    is_same = stored is not None and stored.images.shape[-1] == side and not stored.facts.not_square
    return stored if is_same else None


def _build(
    entry: CacheEntry, read: Callable[..., RawImages], path: Path, title: str, side: int | None, reading: Reading
) -> StoredPictures:
    """Read pictures, and write them into the cache in their final order."""
    with entry.building() as folder, closing(Spool(folder)) as spool:

        def arrange(which: str, images: NDArray[np.uint8], order: NDArray[np.int64]) -> torch.Tensor:
            written = write_images(folder / f"{which}.npy", images, order)
            spool.release()
            return written

        data = assemble(read(spool=spool), path, title, side, reading, arrange=arrange)
        facts = CacheFacts(
            source=as_utf8_text(str(path.absolute())),
            class_names=data.class_names,
            skipped=data.skipped,
            notes=data.notes,
            not_square=data.not_square,
        )
        write_facts(folder, data.labels, data.held_out_labels, facts)
    stored = entry.read()
    if stored is None:
        raise DataError(f"the cache {name(entry.path)} was removed while it was made: start again, or use --no-cache")
    return stored


def _dataset_of(stored: StoredPictures, title: str, notes: tuple[str, ...], *, found_labels: bool) -> Dataset:
    data = dataset_of(title, stored.images, stored.held_out, None)
    return replace(
        data,
        labels=stored.labels,
        held_out_labels=stored.held_out_labels,
        class_names=stored.facts.class_names,
        skipped=stored.facts.skipped,
        notes=(*stored.facts.notes, *notes),
        not_square=stored.facts.not_square,
        found_labels=found_labels,
    )
