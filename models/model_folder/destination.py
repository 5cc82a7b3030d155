"""The check whether a model folder may be written to a path. It never replaces something that is not a model folder."""

import os
import re
import stat
from pathlib import Path

from models.errors import ModelDestinationError, ModelFolderError, ModelNameError
from models.files import is_system_file
from models.model_folder.format import (
    CARD_FILE,
    FEATURES_FILE,
    HISTORY_FILE,
    NAME_PATTERN,
    TIMELINE_FOLDER,
    WEIGHTS_FILE,
)
from models.model_folder.onnx_files import ONNX_FILES, ONNX_START
from models.model_folder.read import read_metadata

_OWN = {WEIGHTS_FILE, HISTORY_FILE, CARD_FILE, FEATURES_FILE}
"""The files of a model folder that are known by their names."""


def check_destination(path: Path) -> bool:
    """Check that a model folder may be written to `path`, and return whether it would replace one. Nothing is changed.

    Allowed are a path where nothing exists, an empty folder, and a model folder that holds no other files.

    Raises:
        ModelNameError: the folder's name cannot be a model's name.
        ModelDestinationError: something else is at `path`, or the folder cannot be made there.
        OSError: `path` cannot be read.
    """
    if not re.fullmatch(NAME_PATTERN, path.name):
        name = path.name or str(path)
        raise ModelNameError(f"{name!r} cannot be a model's name; choose one that matches {NAME_PATTERN}")
    parent = next(folder for folder in path.absolute().parents if os.path.lexists(folder))
    if not (parent.is_dir() and os.access(parent, os.W_OK | os.X_OK)):
        raise ModelDestinationError(f"{path} cannot be written: {parent} is not a folder that this user can write into")
    if path.is_symlink():
        raise ModelDestinationError(f"{path} is a symbolic link, which is not replaced; name the folder itself")
    if not path.exists():
        return False
    if not path.is_dir():
        raise ModelDestinationError(f"{path} is not a folder, and is not replaced; name a new folder")
    if path.is_mount():
        raise ModelDestinationError(f"{path} is a mount point, which cannot be replaced; name a folder inside it")
    if all(is_system_file(entry) for entry in path.iterdir()):
        return False
    if foreign := _foreign_entry(path):
        raise ModelDestinationError(
            f"{path} holds {foreign!r}, which is not part of a model folder and would be lost: name a new folder, or "
            "move that away"
        )
    _check_removable(path)
    try:
        read_metadata(path)
    except ModelFolderError as error:
        raise ModelDestinationError(
            f"{path} is not empty and not a model folder ({error}): name a new folder, or remove this one yourself"
        ) from error
    return True


def _check_removable(path: Path) -> None:
    """Check that this user may remove the files of a model folder; otherwise the old model would stay beside the new.

    Raises:
        ModelDestinationError: this user may not.
    """
    for folder in (path, path / TIMELINE_FOLDER):
        if folder.is_dir() and not os.access(folder, os.W_OK | os.X_OK):
            raise ModelDestinationError(
                f"{path} cannot be replaced: this user cannot remove the files in {folder}; make it writable, or name "
                "a new folder"
            )


def _foreign_entry(folder: Path) -> str | None:
    """Return the name of an entry that does not belong to the format, or None if there is none.

    A file manager's own files are no loss: they are replaced with the folder.
    """
    for entry in sorted(folder.iterdir()):
        if is_system_file(entry):
            continue
        if entry.name == TIMELINE_FOLDER and entry.is_dir() and not entry.is_symlink():
            for picture in sorted(entry.iterdir()):
                if not is_system_file(picture) and not (
                    re.fullmatch(r"[0-9]{1,9}\.png", picture.name) and _is_regular(picture)
                ):
                    return f"{entry.name}/{picture.name}"
        elif not _is_regular(entry) or not (entry.name in _OWN or (entry.name in ONNX_FILES and _is_our_onnx(entry))):
            return entry.name
    return None


def _is_our_onnx(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(ONNX_START)) == ONNX_START


def _is_regular(path: Path) -> bool:
    return stat.S_ISREG(path.lstat().st_mode)
