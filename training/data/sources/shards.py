"""Data sets in several files: which files a pattern or a folder names, and which of them are a test set."""

import re
from itertools import product
from pathlib import Path

from training.data.picture_tree import TEST, TRAIN, VALIDATION
from training.data.text import name, some
from training.errors import DataError

SUFFIXES = (".parquet", ".tar")
MAX_SHARDS = 100_000
_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")
_SPLIT = re.compile(r"([a-z]+)(?![a-z])", re.IGNORECASE)


def is_pattern(source: str) -> bool:
    """Whether the name of the data has a range of numbers such as `{000..009}`, and no file has this name itself."""
    return _RANGE.search(source) is not None and not Path(source).exists()


def is_there(source: str) -> bool:
    """Whether a path exists, or all files that a pattern names."""
    if not is_pattern(source):
        return Path(source).exists()
    try:
        return bool(expand(source))
    except DataError:
        return False


def expand(source: str) -> list[Path]:
    """Return the files that a pattern such as `shard-{000..009}.tar` names; the first number has all leading zeros.

    Raises:
        DataError: a range is empty, there are too many files, or some of them do not exist.
    """
    ranges = []
    for low, high in _RANGE.findall(source):
        if len(low) > 9 or len(high) > 9 or not 0 <= int(high) - int(low) < MAX_SHARDS:
            raise DataError(
                f"{{{low}..{high}}} in --data must go from a number to a larger one, over at most {MAX_SHARDS:,} files"
            )
        ranges.append([str(number).zfill(len(low)) for number in range(int(low), int(high) + 1)])
    parts = _RANGE.split(source)[::3]
    files: list[Path] = []
    for numbers in product(*ranges):
        if len(files) >= MAX_SHARDS:
            raise DataError(f"{source!r} names more than {MAX_SHARDS:,} files: give fewer")
        files.append(Path("".join(a + b for a, b in zip(parts, (*numbers, ""), strict=True))))
    if missing := [name(file) for file in files if not file.is_file()]:
        raise DataError(
            f"{len(missing):,} of the {len(files):,} files of --data {source!r} do not exist: {some(missing)}"
        )
    return files


def find_shards(folder: Path) -> list[Path]:
    """Return the Parquet files or, if there are none, the tar files in a folder or else in its sub-folders.

    Raises:
        DataError: several sub-folders have such files: they are different data sets.
    """
    for suffix in SUFFIXES:
        for pattern in ("*", "*/*", "*/*/*"):
            files = [file for file in sorted(folder.glob(pattern + suffix)) if _is_shard(file.relative_to(folder))]
            folders = sorted({file.parent for file in files})
            if len(folders) > 1:
                raise DataError(
                    f"{name(folder)} has {suffix} files in {len(folders)} folders, {some([name(of) for of in folders])}"
                    ": give one of these folders to --data"
                )
            if files:
                return files
    return []


def _is_shard(inside: Path) -> bool:
    return not any(part.startswith((".", "_")) for part in inside.parts)


def split_shards(files: list[Path]) -> tuple[list[Path], list[Path], tuple[str, ...]]:
    """Return the files to train on, those of the test set, and notes; names begin with `train`, `test`, `validation` …

    If the files do not have such names, all of them are trained on.
    """
    kinds = {file: (match[1].lower() if (match := _SPLIT.match(file.name)) else "") for file in files}
    groups = [[file for file in files if kinds[file] in names] for names in (TRAIN, TEST, VALIDATION)]
    train, test, validation = groups
    if not train or sum(map(len, groups)) != len(files) or len(train) == len(files):
        return files, [], ()
    held_out = test or validation
    notes = [f"{_told(train)} trained on, and {_told(held_out)} held out"]
    if test and validation:
        notes.append(f"{_told(validation)} not used")
    return train, held_out, tuple(notes)


def _told(files: list[Path]) -> str:
    return f"{name(files[0])} is" if len(files) == 1 else f"{len(files):,} files like {name(files[0])} are"
