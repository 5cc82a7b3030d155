"""Finds the images of a folder, its classes and its splits (train and test), and notes the files that it skips.

Links are followed, and a folder that is reached twice is read once. Hidden folders and files are skipped, and so are
the folders that `training` itself writes: a run may lie inside its own data, and its pictures are not data. If `train`
and others such as `test` are the only sub-folders, they are splits; their sub-folders are the classes.
"""

import os
import shlex
from collections import Counter, deque
from dataclasses import dataclass
from pathlib import Path

from models.model_folder.format import WEIGHTS_FILE
from training.errors import DataError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".jfif", ".webp", ".gif", ".bmp", ".tif", ".tiff"})
_TAR = "mkdir {folder} && tar -xf {file} -C {folder}"
ARCHIVES = {
    ".zip": "unzip {file} -d {folder}",
    ".7z": "7z x {file} -o{folder}",
    ".rar": "unrar x {file} {folder}/",
    **dict.fromkeys((".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst"), _TAR),
}
"""The command that unpacks each kind of archive, by the end of its name."""

TRAIN = frozenset({"train", "training"})
TEST = frozenset({"test", "testing"})
VALIDATION = frozenset({"val", "valid", "validation"})
MAX_NAMED = 5
_HIDDEN = (".", "@", "__", "#", "$")  # of version control, notebooks, and network drives' thumbnails and waste bins


@dataclass(frozen=True)
class FolderTree:
    """The image files of a folder, in the order of their paths.

    Attributes:
        top: the folder whose sub-folders are the classes.
        files: the images to train on.
        test_top: the folder whose sub-folders are the classes of `test`; None if there is no test set.
        test: the images of a test set.
        notes: sentences about the files that were skipped, for the log.
    """

    top: Path
    files: list[Path]
    test_top: Path | None
    test: list[Path]
    notes: tuple[str, ...]


def find_images(path: Path) -> FolderTree:
    """Find the images of a folder.

    Raises:
        DataError: there are no images, or a folder cannot be read.
    """
    walk = _Walk()
    walk.walk(path)
    if not walk.files:
        raise DataError(f"{name(path)} holds no images ({', '.join(sorted(SUFFIXES))}){walk.instead()}")
    files = sorted(walk.files)
    top = _common_top(path, files)
    splits = _splits(top, files)
    if splits is None:
        return FolderTree(top, files, None, [], (*_no_split_notes(top, files), *walk.empty_notes(top), *walk.notes()))
    train, test, unused = splits
    notes = [f"{name(train)} is trained on" + (f", and {name(test)} is held out" if test else "; a tenth is held out")]
    notes += [f"{name(folder)} is not used" for folder in unused]
    train_files = [file for file in files if file.is_relative_to(train)]
    test_files = [file for file in files if test is not None and file.is_relative_to(test)]
    test_top = None if test is None else _common_top(test, test_files)
    train_top = _common_top(train, train_files)
    for folder in (train_top, test_top):
        notes += [] if folder is None else walk.empty_notes(folder)
    return FolderTree(train_top, train_files, test_top, test_files, (*notes, *walk.notes()))


def class_of(file: Path, top: Path) -> str | None:
    """Return the name of a file's class: the sub-folder of `top` that holds it; None if no sub-folder does."""
    parts = file.relative_to(top).parts
    return parts[0] if len(parts) > 1 else None


def archive_hint(path: Path) -> str | None:
    """Return how to unpack an archive, as the end of a sentence; None if the file's name is not that of an archive."""
    suffix = next((suffix for suffix in ARCHIVES if path.name.lower().endswith(suffix)), None)
    if suffix is None:
        return None
    folder = path.with_name(path.name[: -len(suffix)] or "unpacked")
    words = {"file": shlex.quote(name(path)), "folder": shlex.quote(name(folder))}
    return f"unpack it with `{ARCHIVES[suffix].format_map(words)}`, and give the folder: `--data {words['folder']}`"


def name(path: Path) -> str:
    """Return a path as one printable line of text, for a terminal and a log."""
    return str(path) if str(path).isprintable() else ascii(str(path))


def as_utf8_text(text: str) -> str:
    """Return a text that can be written as UTF-8: each byte of a file's name that is not UTF-8 becomes an escape.

    Python reads such a byte as a lone surrogate, which neither JSON nor a page can hold.
    """
    return text.encode(errors="backslashreplace").decode()


def holds_run_or_model(folder: Path) -> bool:
    """Whether a folder holds a run (`training.run.folder`, which makes both entries at the start) or a model."""
    try:
        is_run = (folder / "config.json").is_file() and (folder / "grids").is_dir()
        return is_run or (folder / WEIGHTS_FILE).is_file()
    except PermissionError:  # the walk reports a folder that cannot be read
        return False


class _Walk:
    """Walks through folders, collects their images, and counts the files that it skips."""

    def __init__(self) -> None:
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
            if entry.name.startswith(_HIDDEN if is_folder else ".") or (is_folder and entry.name == "lost+found"):
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


def some(texts: list[str]) -> str:
    """Return the first `MAX_NAMED` texts as a list, and the number of the others."""
    more = f" and {len(texts) - MAX_NAMED:,} more" if len(texts) > MAX_NAMED else ""
    return ", ".join(texts[:MAX_NAMED]) + more


def _common_top(path: Path, files: list[Path]) -> Path:
    """Return the deepest folder with all sub-folders that hold images: a folder that only wraps another is no class."""
    while True:
        inside = {file.relative_to(path).parts[0] for file in files}
        if len(inside) != 1 or any(len(file.relative_to(path).parts) < 3 for file in files):
            return path
        path /= inside.pop()


def _splits(top: Path, files: list[Path]) -> tuple[Path, Path | None, list[Path]] | None:
    """Return the folders of the training images and of the test images, and those that are not used.

    The result is None unless all sub-folders of `top` are splits, and one of them is for training.
    """
    inside = sorted({file.relative_to(top).parts[0] for file in files})
    kinds = {folder: folder.lower() for folder in inside}
    train = [folder for folder in inside if kinds[folder] in TRAIN]
    if len(train) != 1 or len(inside) < 2 or not all(k in TRAIN | TEST | VALIDATION for k in kinds.values()):
        return None
    rest = sorted((folder for folder in inside if folder not in train), key=lambda folder: kinds[folder] in VALIDATION)
    test, *unused = rest
    return top / train[0], top / test, [top / folder for folder in unused]


def _no_split_notes(top: Path, files: list[Path]) -> list[str]:
    """Return a sentence that says why folders with the names of splits are none; [] if fewer than two have such names.

    A single one may well be a class: a train is a vehicle.
    """
    parts = [file.relative_to(top).parts for file in files]
    folders = {inside[0] for inside in parts if len(inside) > 1}
    splits = sorted(folder for folder in folders if folder.lower() in TRAIN | TEST | VALIDATION)
    if len(splits) < 2:
        return []
    others = sorted({inside[0] for inside in parts} - set(splits))
    train = [folder for folder in splits if folder.lower() in TRAIN]
    if others:
        reason = f"{some([name(Path(other)) for other in others])} {'is' if len(others) == 1 else 'are'} beside them"
    elif train:
        reason = f"{' and '.join(train)} are both for training"
    else:
        reason = "no folder `train` is beside them"
    taken = "taken as classes" if all(len(inside) > 1 for inside in parts) else "not taken as training and test sets"
    return [f"{' and '.join(splits)} are {taken}, because {reason}"]
