"""Finds the images of a folder, and notes the files that it skips; `picture_tree` then finds classes and splits.

Links are followed, and a folder that is reached twice is read once. Hidden folders and files are skipped, and so are
the folders that `training` itself writes: a run may lie inside its own data, and its pictures are not data.
"""

import os
import shlex
from collections import Counter, deque
from collections.abc import Collection
from pathlib import Path

from models.model_folder.format import WEIGHTS_FILE
from training.data.picture_tree import FolderTree, arrange
from training.data.text import name, some
from training.errors import DataError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".jfif", ".webp", ".gif", ".bmp", ".tif", ".tiff"})
_TAR = "mkdir {folder} && tar -xf {file} -C {folder}"
ARCHIVES = {
    ".7z": "7z x {file} -o{folder}",
    ".rar": "unrar x {file} {folder}/",
    **dict.fromkeys((".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst"), _TAR),
}
"""The command that unpacks each kind of archive that is not read as it is, by the end of its name."""

READ_AS_THEY_ARE = (".zip", ".tar")

HIDDEN = (".", "@", "__", "#", "$")  # of version control, notebooks, and network drives' thumbnails and waste bins


class NoImagesError(DataError):
    """A folder holds no images."""


def find_images(path: Path, *, not_counted: Collection[str] = ()) -> FolderTree:
    """Find the images of a folder.

    Args:
        path: the folder.
        not_counted: names of files in it that are read, but are no images.

    Raises:
        NoImagesError: there are no images.
        DataError: a folder cannot be read.
    """
    walk = _Walk({path / each for each in not_counted})
    walk.walk(path)
    if not walk.files:
        raise NoImagesError(f"{name(path)} holds no images ({', '.join(sorted(SUFFIXES))}){walk.instead()}")
    return arrange(path, walk.files, walk.notes(), empty_notes=walk.empty_notes)


def archive_hint(path: Path) -> str | None:
    """Return what to do with an archive, as the end of a sentence; None if the file's name is not that of one."""
    if path.suffix.lower() in READ_AS_THEY_ARE:
        return f"it is read as it is: `--data {shlex.quote(name(path))}`"
    suffix = next((suffix for suffix in ARCHIVES if path.name.lower().endswith(suffix)), None)
    if suffix is None:
        return None
    folder = path.with_name(path.name[: -len(suffix)] or "unpacked")
    words = {"file": shlex.quote(name(path)), "folder": shlex.quote(name(folder))}
    return f"unpack it with `{ARCHIVES[suffix].format_map(words)}`, and give the folder: `--data {words['folder']}`"


def holds_run_or_model(folder: Path) -> bool:
    """Whether a folder holds a run (`training.run.folder`, which makes both entries at the start) or a model."""
    try:
        is_run = (folder / "config.json").is_file() and (folder / "grids").is_dir()
        return is_run or (folder / WEIGHTS_FILE).is_file()
    except PermissionError:  # the walk reports a folder that cannot be read
        return False


class _Walk:
    """Walks through folders, collects their images, and counts the files that it skips."""

    def __init__(self, not_counted: set[Path]) -> None:
        self._not_counted = not_counted
        self.files: list[Path] = []
        self._links: deque[Path] = deque()
        self._entered: dict[tuple[int, int], Path] = {}
        self._hidden: list[str] = []
        self._hidden_images = 0
        self._written: list[str] = []
        self._twice: list[str] = []
        self._broken: list[str] = []
        self._others: Counter[str] = Counter()
        self._archive: Path | None = None

    def walk(self, folder: Path) -> None:
        """Collect the images of a folder and of all folders in it: first the real ones, then those that links name."""
        self._enter(folder)
        while self._links:
            self._enter(self._links.popleft())

    def _enter(self, folder: Path) -> None:
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
            status = folder.stat()
        except OSError as error:
            raise DataError(
                f"{name(folder)} cannot be read: {error.strerror}; make it readable or take it out of the data"
            ) from error
        key = (status.st_dev, status.st_ino)
        if key in self._entered:
            self._twice.append(f"{name(folder)} is {name(self._entered[key])}")
            return
        self._entered[key] = folder
        for entry in entries:
            path = folder / entry.name
            is_folder = path.is_dir() if entry.is_symlink() else entry.is_dir()  # a link that leads to itself is none
            if entry.name.startswith(HIDDEN if is_folder else ".") or (is_folder and entry.name == "lost+found"):
                self._hide(path, is_folder=is_folder)
            elif is_folder and holds_run_or_model(path):
                self._written.append(name(path))
            elif is_folder and entry.is_symlink():
                self._links.append(path)
            elif is_folder:
                self._enter(path)
            elif entry.is_symlink() and not path.exists():
                self._broken.append(name(path))
            elif path.suffix.lower() not in SUFFIXES or not entry.is_file():
                self._pass_over(path)
            else:
                self.files.append(path)

    def _hide(self, path: Path, *, is_folder: bool) -> None:
        if is_folder:
            self._hidden.append(name(path))
            inside = (file for _, _, files in os.walk(path) for file in files)
            self._hidden_images += sum(Path(file).suffix.lower() in SUFFIXES for file in inside)
        elif path.suffix.lower() in SUFFIXES:
            self._hidden.append(name(path))
            self._hidden_images += 1

    def _pass_over(self, path: Path) -> None:
        if path in self._not_counted:
            return
        self._others[path.suffix.lower() or "no suffix"] += 1
        self._archive = self._archive or (path if archive_hint(path) else None)

    def instead(self) -> str:
        """Return the end of the message about a folder without images: what the folder holds, and what to do."""
        if self._archive is not None:
            return f", but {name(self._archive)}: {archive_hint(self._archive)}"
        seen = "".join(f"; {note}" for note in self.notes())
        return f": give another folder{seen}"

    def empty_notes(self, top: Path) -> list[str]:
        """Return a sentence that names the sub-folders of `top` without an image, which make no class; [] if none."""
        holding = {folder for file in self.files for folder in file.parents}
        inside = sorted(folder for folder in self._entered.values() if folder.parent == top and folder != top)
        empty = [name(folder) for folder in inside if folder not in holding]
        return [f"{len(empty):,} sub-folder(s) hold no image and make no class: {some(empty)}"] if empty else []

    def notes(self) -> tuple[str, ...]:
        """Return a sentence about each kind of file and folder that was skipped."""
        notes = []
        if self._hidden:
            notes.append(f"ignored {self._hidden_images:,} image(s) that are hidden: {some(self._hidden)}")
        if self._written:
            notes.append(f"ignored {len(self._written):,} folder(s) that hold a run or a model: {some(self._written)}")
        if self._twice:
            notes.append(f"read {len(self._twice):,} folder(s) only once that links name again: {some(self._twice)}")
        if self._broken:
            notes.append(f"ignored {len(self._broken):,} link(s) that lead nowhere: {some(self._broken)}")
        if self._others:
            kinds = [f"{count:,} {suffix}" for suffix, count in self._others.most_common()]
            notes.append(f"ignored {self._others.total():,} file(s) of other kinds: {some(kinds)}")
        return tuple(note if note.isprintable() else ascii(note)[1:-1] for note in notes)
