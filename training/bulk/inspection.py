"""Looks at the shards that a folder already holds: which are damaged, and which are not of the request.

A shard that this program has named is complete. But a copy that ended early, a full disk or a person may have left
another file of this name. The checks are cheap: they find an empty or cut file, and not a changed byte.
"""

import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from models.files import is_system_file
from training.bulk.formats import png_folder_files
from training.bulk.request import BulkRequest, Format, Shard
from training.data.text import some
from training.errors import BulkError

_SHARD_NAME = re.compile(r"shard-([0-9]{1,18})(\.[a-z]+)?")
_PARQUET_MAGIC = b"PAR1"
_TAR_END = bytes(2 * 512)
_TAR_RECORD = 20 * 512


def damaged_shards(request: BulkRequest, folder: Path) -> Iterator[Path]:
    """Yield the shards in the folder that are empty or cut.

    Raises:
        BulkError: a folder is in the place of a shard that is a file, or a file in the place of one that is a folder;
            or a damaged folder holds somebody's own files, which would be lost with it.
        OSError: a shard cannot be read.
    """
    for number in range(request.shard_count):
        shard = request.shard(number)
        path = folder / shard.name
        if not path.exists():
            continue
        if path.is_dir() != (request.format == "png"):
            kind = "a folder" if path.is_dir() else "a file"
            raise BulkError(f"{path} is {kind}, and so no shard of {request.format}: move it elsewhere")
        if _CHECKS[request.format](path, shard):
            continue
        if path.is_dir() and (others := _others(path, shard)):
            raise BulkError(
                f"{path} is cut and must be written again, but it holds {some(others)}: move that elsewhere"
            )
        yield path


def _others(path: Path, shard: Shard) -> list[str]:
    """Return the names of what a person has put into a shard that is a folder."""
    files = png_folder_files(shard)
    return sorted(entry.name for entry in path.iterdir() if entry.name not in files and not is_system_file(entry))


def foreign_shards(request: BulkRequest, folder: Path) -> list[str]:
    """Return the names of files and folders that are named like shards, but are none of this request."""
    found = (_SHARD_NAME.fullmatch(entry.name) for entry in folder.iterdir())
    return sorted(match[0] for match in found if match and not _is_own(request, match[0], int(match[1])))


def _is_own(request: BulkRequest, name: str, number: int) -> bool:
    return number < request.shard_count and name == request.shard(number).name


def _is_whole_npz(path: Path, _shard: Shard) -> bool:
    """Whether the table of contents can be read, which is at the end."""
    try:
        with zipfile.ZipFile(path) as archive:
            return bool(archive.namelist())
    except zipfile.BadZipFile:
        return False


def _is_whole_png_folder(path: Path, shard: Shard) -> bool:
    """Whether there are a table, the latents and all pictures, and none is empty. Other files may be there, too."""
    return png_folder_files(shard) <= {entry.name for entry in path.iterdir() if entry.stat().st_size}


def _is_whole_parquet(path: Path, _shard: Shard) -> bool:
    """Whether the file begins and ends with the mark of the format; the end is written last."""
    return path.stat().st_size > 8 and _ends(path, 4) == _PARQUET_MAGIC


def _is_whole_tar(path: Path, _shard: Shard) -> bool:
    """Whether the file has a length of the format, and ends with its two empty blocks."""
    size = path.stat().st_size
    return size > 0 and size % _TAR_RECORD == 0 and _ends(path, len(_TAR_END)) == _TAR_END


def _ends(path: Path, count: int) -> bytes:
    with path.open("rb") as file:
        file.seek(-count, 2)
        return file.read()


_CHECKS: dict[Format, Callable[[Path, Shard], bool]] = {
    "npz": _is_whole_npz,
    "png": _is_whole_png_folder,
    "parquet": _is_whole_parquet,
    "webdataset": _is_whole_tar,
}
