"""The run folder, which holds all files of one training run.

config.json              all settings that decide the result
log.txt                  the messages of the run, with the time
stats.jsonl              the figures of the epochs, one line per epoch
grids/*.png              images of 64 fixed latents by G's EMA; the file's name is the epoch, 0 is the untrained G
curves.png               losses, D(x), D(G(z)) and V(G, D) over the epochs, with the values at the optimum
tensorboard/             the figures of stats.jsonl for TensorBoard
start.safetensors        the model that the run began from, if `fit` was given one
checkpoint.safetensors   the state to resume from
best.safetensors         the state with the smallest Fréchet distance, if the recipe measures it
events.jsonl             the alarms, one line per alarm
features.safetensors     the network in whose features samples are compared, if they are not the built-in features
"""

import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Literal, TypeVar

import torch
from pydantic import ValidationError

from models.files import (
    TEMPORARY_SUFFIX,
    check_new_folder,
    is_system_file,
    naming,
    sync_folder,
    write_atomically,
)
from models.images import channels_first
from models.model_folder.format import FEATURES_FILE
from models.model_folder.history import EpochRecord, History, TrainingEvent
from models.validation import describe_mistakes
from training.commands import command
from training.config import RunConfig, check_utf8
from training.errors import RunError
from training.run.progress import Progress

_Record = TypeVar("_Record", EpochRecord, TrainingEvent)

_GRID_NAME = re.compile(r"[0-9]{5}\.png|[1-9][0-9]{5,8}\.png")


class RunFolder:
    """The folder of one run: the paths of its files, and the functions that read and write them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config_file = path / "config.json"
        self.checkpoint_file = path / "checkpoint.safetensors"
        self.best_file = path / "best.safetensors"
        self.start_file = path / "start.safetensors"
        self.stats_file = path / "stats.jsonl"
        self.events_file = path / "events.jsonl"
        self.curves_file = path / "curves.png"
        self.features_file = path / FEATURES_FILE
        self.log_file = path / "log.txt"
        self.grids = path / "grids"
        self.tensorboard = path / "tensorboard"

    def check_new(self) -> None:
        """Check that a new run may be written into the folder: it does not exist, or is empty. Nothing is changed.

        Raises:
            RecipeError: its name is not UTF-8.
            RunError: the folder already holds a run, or other files.
            OSError: the folder cannot be made or read.
        """
        check_utf8(str(self.path))
        if self.config_file.exists():
            raise RunError(
                f"{self.path} already holds a run: continue it with `{command('resume', self.path)}`, or choose "
                "another `--out`"
            )
        if not self.path.exists():
            check_new_folder(self.path)
            return
        files = (self.config_file.name, self.start_file.name)
        # A start that was interrupted leaves these:
        begun = {self.grids.name, self.start_file.name, *(f".{name}{TEMPORARY_SUFFIX}" for name in files)}
        strange = any(entry.name not in begun for entry in _entries(self.path))
        if strange or (self.grids.exists() and _entries(self.grids)):  # pictures that are not this run's
            raise RunError(f"{self.path} is not empty, and it is not a run folder: choose another `--out`")

    def create(self, config: RunConfig, start: bytes | None = None) -> None:
        """Make the folder of a new run.

        Args:
            config: configuration of the run.
            start: the file of the model that the run begins from (`training.run.starting_model`); None: random weights.

        Raises:
            RunError: the folder already holds a run, or other files.
            OSError: the disk is full or cannot be written.
        """
        self.check_new()
        self.grids.mkdir(parents=True, exist_ok=True)
        if start is None:
            self.start_file.unlink(missing_ok=True)
        else:
            write_atomically(self.start_file, start)
        self.write_config(config)
        sync_folder(self.path.parent)

    def write_config(self, config: RunConfig) -> None:
        """Write the configuration of the run.

        Raises:
            OSError: the disk is full or cannot be written.
        """
        write_atomically(self.config_file, (config.model_dump_json(indent=2) + "\n").encode())

    def read_config(self) -> RunConfig:
        """Read the configuration of the run.

        Raises:
            RunError: the folder does not hold a run, or its configuration is damaged.
        """
        if not self.config_file.is_file():
            raise RunError(
                f"{self.path} is not a run folder, because it has no config.json: give a folder that `fit` wrote"
            )
        try:
            return RunConfig.model_validate_json(self.config_file.read_bytes())
        except ValidationError as error:
            mistakes = describe_mistakes(error, whole="the file")
            raise RunError(
                f"{self.config_file} is damaged: {mistakes}\nRestore a good copy of it, or start a new run with `fit`."
            ) from error

    def saved_state(self, state: Literal["best", "last"] = "best") -> Path:
        """Return the file of a saved state: "best" is the last one if the recipe does not measure the states.

        Raises:
            RunError: the run has no saved state yet, or the file of its best one is lost.
        """
        if state == "best" and self.best_file.exists():
            return self.best_file
        if not self.checkpoint_file.exists():
            raise RunError(f"{self.path} has no saved state yet: train it with `{command('resume', self.path)}`")
        if state == "best":
            self._check_best_not_lost()
        return self.checkpoint_file

    def _check_best_not_lost(self) -> None:
        from training.run.alarms import best_record  # noqa: PLC0415  (`watch` does not need it)
        from training.run.checkpoint import read_progress  # noqa: PLC0415

        # The best state is saved before the checkpoint whose records have its figures.
        best = best_record(read_progress(self.checkpoint_file).records)
        if best is not None:
            raise RunError(
                f"{self.best_file} is lost: it held the best state, that of epoch {best.epoch} with the Fréchet "
                f"distance {best.metrics['frechet']:g}. Restore it from a copy. To export the last state instead, copy "
                f"{self.checkpoint_file.name} to {self.best_file.name}; or start a new run with `fit` and another "
                "`--out`"
            )

    def check_no_records(self) -> None:
        """Check that nothing is lost if the run begins from the start, because it has no state to resume from.

        A state is saved before the first record is written, so records without a state mean that its file was lost.

        Raises:
            RunError: there are records, or a best state.
        """
        has_records = self.stats_file.exists() and self.stats_file.stat().st_size > 0
        if not has_records and not self.best_file.exists():
            return
        left = self.stats_file.name if has_records else self.best_file.name
        best = ""
        if self.best_file.exists():
            best = f" `{command('export', self.path)} --to DIR` can still export its best state."
        raise RunError(
            f"{self.path} has {left} of a training, but no {self.checkpoint_file.name} to resume from: `resume` would "
            f"begin from the start and overwrite it.{best} Restore {self.checkpoint_file.name} from a copy, or start a "
            "new run with `fit` and another `--out`"
        )

    def rewrite(self, progress: Progress) -> None:
        """Make the folder agree with `progress`: remove pictures and records of later epochs."""
        self.drop_grids_after(progress.epoch - 1)
        self.write_stats(progress.records)
        self.write_events(progress.events)

    def write_stats(self, records: list[EpochRecord]) -> None:
        """Write all records so far, one line per epoch."""
        lines = "".join(record.model_dump_json() + "\n" for record in records)
        write_atomically(self.stats_file, lines.encode())

    def write_events(self, events: list[TrainingEvent]) -> None:
        """Write all events so far, one line per event. Without events there is no file."""
        if not events:
            self.events_file.unlink(missing_ok=True)
            return
        lines = "".join(event.model_dump_json() + "\n" for event in events)
        write_atomically(self.events_file, lines.encode())

    def write_grid(self, epoch: int, png: bytes) -> None:
        """Write the picture of the fixed latents after `epoch` epochs."""
        write_atomically(self.grids / f"{epoch:05d}.png", png)

    def write_curves(self, png: bytes) -> None:
        """Write the picture of the curves so far."""
        write_atomically(self.curves_file, png)

    def drop_grids_after(self, epoch: int) -> None:
        """Remove the pictures of epochs after `epoch`."""
        for drawn, path in self.grid_files().items():
            if drawn > epoch:
                path.unlink()

    def grid_files(self) -> dict[int, Path]:
        """Return the files of the pictures by epoch, in the order of the epochs.

        A file whose name `write_grid` cannot have given, such as a copy of a picture, is ignored.
        """
        numbered = {int(path.stem): path for path in self.grids.glob("*.png") if _GRID_NAME.fullmatch(path.name)}
        return dict(sorted(numbered.items()))

    def timeline(self, *, last: int) -> dict[int, bytes]:
        """Read the pictures by epoch, as PNG bytes, up to epoch `last`."""
        return {epoch: path.read_bytes() for epoch, path in self.grid_files().items() if epoch <= last}

    def read_samples(self, *, side: int, last: int) -> dict[int, torch.Tensor]:
        """Read G's images of the fixed latents from the pictures, by epoch: each [64, C, H, W] uint8.

        Args:
            side: height and width of an image, in pixels.
            last: the last epoch that is read.

        Raises:
            RunError: a picture is damaged.
        """
        from training.run.fixed_grid import split_fixed_grid  # noqa: PLC0415  (it needs Pillow, which `watch` does without)

        samples = {}
        for epoch, png in self.timeline(last=last).items():
            try:
                samples[epoch] = channels_first(split_fixed_grid(png, side=side))
            except ValueError as error:
                raise RunError(
                    f"{self.grid_files()[epoch]} is damaged: {error}\nRestore a good copy of it, or start a new run "
                    "with `fit`."
                ) from error
        return samples

    def read_history(self) -> History:
        """Read the records and events of the run; both are empty before the first epoch has ended.

        Raises:
            RunError: a file is damaged or cannot be read.
        """
        epochs = [_record(line, EpochRecord, place) for place, line in _lines(self.stats_file)]
        events = [_record(line, TrainingEvent, place) for place, line in _lines(self.events_file)]
        return History(epochs=tuple(epochs), events=tuple(events))

    def log(self, text: str) -> None:
        """Add a line to the log, with the time. After an error, nothing of the line is left.

        Raises:
            OSError: the disk is full or cannot be written.
        """
        line = f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n".encode()
        with naming(self.log_file), self.log_file.open("ab", buffering=0) as file:
            before = file.seek(0, os.SEEK_END) if file.seekable() else 0
            try:
                while line:
                    line = line[file.write(line) :]
            except OSError:
                with suppress(OSError):
                    file.truncate(before)
                raise


def _entries(folder: Path) -> list[Path]:
    """List a folder without the files that a file manager left there."""
    return [entry for entry in folder.iterdir() if not is_system_file(entry)]


def _lines(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the place and the text of each line of a file; nothing if there is no file.

    Raises:
        RunError: the file cannot be read.
    """
    if not path.exists():
        return
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise RunError(
            f"{path} cannot be read ({error.strerror}): make it a file that can be read, or restore it from a copy"
        ) from error
    yield from ((f"line {number:,} of {path}", line) for number, line in enumerate(lines, start=1))


def _record(line: bytes, kind: type[_Record], place: str) -> _Record:
    try:
        return kind.model_validate_json(line)
    except ValidationError as error:
        raise RunError(
            f"{place} is damaged ({describe_mistakes(error, whole='the line')}): restore the file from a copy, or "
            "start a new run with `fit`"
        ) from error
