"""Damaged files of a run, and the bytes of a folder."""

from collections.abc import Callable
from pathlib import Path

from PIL import Image

from reliability.trainings.runs import read_state, temporary_files
from training.run.folder import RunFolder


def damaged(folder: RunFolder) -> list[str]:
    """Return a line for each file of a run that is damaged or should not exist."""
    wrong = [f"left behind: {name}" for name in temporary_files(folder.path)]
    checks: dict[Path, Callable[[Path], object]] = {
        folder.config_file: lambda _: folder.read_config(),
        folder.stats_file: lambda _: folder.read_history(),
        folder.log_file: whole_lines,
        folder.checkpoint_file: read_state,
        folder.best_file: read_state,
        **dict.fromkeys([folder.curves_file, *folder.grids.glob("*.png")], decode),
    }
    for path, check in checks.items():
        if path.exists():
            try:
                check(path)
            except Exception as error:  # noqa: BLE001  (whatever is raised, the file is damaged)
                wrong.append(f"{path.name} is damaged: {error}")
    return wrong


def whole_lines(path: Path) -> None:
    """Raise ValueError if a text does not end with a newline."""
    if not path.read_bytes().endswith(b"\n") and path.stat().st_size:
        raise ValueError("the last line is cut")


def decode(path: Path) -> None:
    """Raise OSError if a picture is damaged."""
    with Image.open(path) as image:
        image.load()


def folder_bytes(path: Path) -> dict[str, bytes]:
    """Return the bytes of all files of a folder, by name; none if there is no folder."""
    return {str(file.relative_to(path)): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}
