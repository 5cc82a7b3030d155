"""Decides what a path is: a folder of pictures, a zip, tar shards or Parquet shards."""

from pathlib import Path

from training.data.folder_tree import NoImagesError
from training.data.reading import Reading
from training.data.sources.archive import list_archive, zip_entries
from training.data.sources.image_folder import list_folder
from training.data.sources.parquet import list_parquet
from training.data.sources.picture_list import PictureSource
from training.data.sources.shards import expand, find_shards, is_pattern
from training.data.sources.webdataset import list_shards
from training.data.text import name
from training.errors import DataError


def find_pictures(source: str, reading: Reading) -> PictureSource:
    """List the pictures at a path, or in the files that a pattern names.

    Args:
        source: the path or pattern. It must not be that of arrays (`training.data.arrays.holds_arrays`).
        reading: how the data are read.

    Raises:
        DataError: files cannot be read, there are no pictures, or labels have mistakes.
        ModuleNotFoundError: the files are Parquet, and pyarrow is not installed.
    """
    path = Path(source)
    if is_pattern(source):
        return _list_files(path, expand(source), reading)
    if path.is_dir():
        try:
            return list_folder(path, reading.labels, find=reading.rule > 2)
        except NoImagesError:
            if shards := find_shards(path):
                return _list_files(path, shards, reading)
            raise
    if path.suffix.lower() == ".zip":
        return list_archive(zip_entries(path), reading.labels)
    return _list_files(path, [path], reading)


def _list_files(path: Path, files: list[Path], reading: Reading) -> PictureSource:
    kinds = {file.suffix.lower() for file in files}
    if kinds == {".tar"}:
        return list_shards(path, files, reading.labels)
    if kinds != {".parquet"}:
        raise DataError(f"{name(path)} names files that are neither all .tar nor all .parquet: give one kind")
    if reading.labels is not None:
        raise DataError("Parquet files have their labels in a column: leave --labels out")
    return list_parquet(path, files)
