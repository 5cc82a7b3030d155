"""The name of a data set, made of its path."""

from itertools import takewhile
from pathlib import Path

from training.data.text import as_utf8_text

GENERIC = frozenset(
    {
        "all",
        "data",
        "dataset",
        "files",
        "images",
        "img",
        "imgs",
        "jpg",
        "jpeg",
        "png",
        "raw",
        "test",
        "train",
        "training",
    }
)
"""Names that many folders have. A data set in such a folder has the name of the folder around it."""


def title_of(source: str) -> str:
    """Return the name of the folder, or that of the file without its suffix: "cifar10/train" → "cifar10".

    A pattern of shards, such as `cats/shard-{000..009}.tar`, has the name of its folder. A name in `GENERIC` gives way
    to that of the folder around it, and so on; but no name comes from the home folder or from above it. The name of an
    `.npz` or IDX file is kept as it is.

    Args:
        source: the path or pattern.
    """
    path = Path(source).resolve()
    names = [path.name if path.is_dir() else path.stem]
    if path.is_file() and path.suffix.lower() not in {".zip", ".tar", ".parquet"}:
        return as_utf8_text(path.stem)
    if "{" in path.name and not path.exists():
        names = []
    home = _home()
    around = takewhile(lambda folder: folder not in {home, Path(folder.anchor)}, path.parents)
    names += [folder.name for folder in around]
    chosen = next((name for name in names if name and name.lower() not in GENERIC), None)
    return as_utf8_text(chosen or next(iter(names), "") or path.stem)


def _home() -> Path | None:
    try:
        return Path.home().resolve()
    except RuntimeError:  # there is none
        return None
