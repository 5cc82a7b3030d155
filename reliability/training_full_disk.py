"""A full disk at each kind of write: `python -m reliability.training_full_disk`, as root.

A small tmpfs is mounted, and real commands write into it. It is filled to its last page at the moment when a command
opens a certain file (`reliability.trainings.disk_filler`), or before the command begins. So the error is the kernel's.
Each time it must be true that

- the command exits with 1 and one line of error, which names the full disk;
- no temporary file is left, every file is whole, and a model or a picture that was there before is unchanged;
- when there is room again, `resume`, or the same command, ends exactly as a run that never met a full disk.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.report import describe_machine, table
from harness.repository import ROOT
from models.model_folder.read import load_model
from reliability.trainings.damage import damaged, folder_bytes
from reliability.trainings.disk_filler import PAGE
from reliability.trainings.runs import (
    command,
    differences,
    fit_arguments,
    next_arguments,
    outcome,
    succeed,
    temporary_files,
    training_environment,
    write_data,
)
from reliability.trainings.small_disk import SIZE, Disk, mount
from training.run.folder import RunFolder

SETTINGS = (
    "epochs=12",
    "metrics_every_epochs=4",
    "grid_every_epochs=4",
    "discriminator_optimiser.learning_rate=0.1",  # D wins, which is an alarm: there are events
    "generator_optimiser.learning_rate=1e-6",
)


@dataclass(frozen=True)
class Moment:
    """The write that meets the full disk: the n-th time that a file whose name matches a pattern is opened."""

    kind: str
    pattern: str
    n: int = 1


WRITES = (
    Moment("config.json", ".config.json.tmp"),
    Moment("grids/*.png", ".00000.png.tmp"),
    Moment("grids/*.png", ".00003.png.tmp"),
    Moment("log.txt", "log.txt"),
    Moment("tensorboard/", "events.out.tfevents.*"),
    Moment("checkpoint.safetensors", ".checkpoint.safetensors.tmp"),
    Moment("checkpoint.safetensors", ".checkpoint.safetensors.tmp", 11),
    Moment("checkpoint.safetensors", ".checkpoint.safetensors.tmp", 25),
    Moment("stats.jsonl", ".stats.jsonl.tmp", 2),  # the first is empty
    Moment("stats.jsonl", ".stats.jsonl.tmp", 9),
    Moment("best.safetensors", ".best.safetensors.tmp"),
    Moment("curves.png", ".curves.png.tmp"),
    Moment("curves.png", ".curves.png.tmp", 4),
    Moment("events.jsonl", ".events.jsonl.tmp"),
)
EXPORTS = (
    Moment("export: model.safetensors", ".model.safetensors.tmp"),
    Moment("export: history.json", ".history.json.tmp"),
    Moment("export: CARD.md", ".CARD.md.tmp"),
    Moment("export: timeline/*.png", ".00004.png.tmp"),
)
FREE_PAGES = (0, 1, 4, 10, 24)


class TrialLog:
    """The tries by kind of write, each with what was wrong."""

    def __init__(self) -> None:
        self.tried: dict[str, list[list[str]]] = {}

    def add(self, kind: str, wrong: list[str]) -> None:
        """Add a try, and print it on standard error."""
        self.tried.setdefault(kind, []).append(wrong)
        print(f"{kind}: {'; '.join(wrong) or 'as it should be'}", file=sys.stderr, flush=True)

    @property
    def all_well(self) -> bool:
        """Return whether nothing was wrong."""
        return not any(wrong for tries in self.tried.values() for wrong in tries)

    def table(self) -> str:
        """Return the table of all tries."""
        heads = ["the write that met a full disk", "tries", "one error, exit 1, nothing half-written", "the same end"]
        rows = []
        for kind, tries in self.tried.items():
            ends = sum(not any("end" in text for text in wrong) for wrong in tries)
            errors = sum(not any("end" not in text for text in wrong) for wrong in tries)
            rows.append([kind, str(len(tries)), str(errors), str(ends)])
        totals = [str(sum(int(row[column]) for row in rows)) for column in range(1, len(heads))]
        return table(heads, [*rows, ["all", *totals]])


def main() -> int:
    """Fill, look, make room, compare, print. Return 1 if something was wrong, 2 if nothing can be mounted, else 0."""
    argparse.ArgumentParser(description="Fill the disk at each kind of write of training.").parse_args()
    trials = TrialLog()
    with tempfile.TemporaryDirectory(prefix="gan-disk-") as work:
        mountpoint = Path(work) / "disk"
        mountpoint.mkdir()
        if why := mount(mountpoint):
            print(f"nothing was tried: a tmpfs cannot be mounted here ({why})", file=sys.stderr)
            return 2
        try:
            FullDiskTrial(Path(work), Disk(mountpoint), trials).run()
        finally:
            subprocess.run(["umount", "--lazy", str(mountpoint)], check=True)
    print(f"{describe_machine()}; tmpfs of {SIZE}\n")
    print(trials.table())
    return 0 if trials.all_well else 1


class FullDiskTrial:
    """All tries on one disk, compared with a run and a model that never met a full disk."""

    def __init__(self, work: Path, disk: Disk, trials: TrialLog) -> None:
        self.disk, self.trials = disk, trials
        self.data = write_data(work / "data.npz")
        self.whole = RunFolder(work / "whole")
        succeed(fit_arguments(self.data, self.whole, SETTINGS))
        self.wanted = outcome(self.whole)
        if not self.wanted["events"] or not self.wanted["best"]:
            raise RuntimeError("the run has no alarm or no best state: these writes would not be tried")
        self.model = work / "models" / "tiny"
        self.export = ["export", str(self.whole.path), "--to"]
        succeed([*self.export, str(self.model)])

    def run(self) -> None:
        """Try each kind of write."""
        for moment in WRITES:
            with self.empty_run() as folder:
                wrong = self.fails(fit_arguments(self.data, folder, SETTINGS), moment)
                self.trials.add(moment.kind, [*wrong, *damaged(folder), *self.goes_on(folder)])
        self.try_half_a_line()
        for pages in FREE_PAGES:
            with self.empty_run() as folder:
                self.disk.leave(pages)
                wrong = self.fails(fit_arguments(self.data, folder, SETTINGS))
                self.trials.add("whichever came first", [*wrong, *damaged(folder), *self.goes_on(folder)])
        for moment in EXPORTS:
            self.try_export(moment)
        picture, page = self.disk.path / "grid.png", self.disk.path / "report.html"
        evaluate = ["evaluate", str(self.model), "--data", str(self.data)]
        self.try_file(Moment("sample -o", ".grid.png.tmp"), ["sample", str(self.model), "-o", str(picture)], picture)
        self.try_file(Moment("evaluate --html", ".report.html.tmp"), [*evaluate, "--html", str(page)], page)
        self.try_standard_output([*evaluate, "--json"])

    @contextmanager
    def empty_run(self) -> Iterator[RunFolder]:
        """A folder for a run on the disk, which is emptied afterwards."""
        folder = RunFolder(self.disk.path / "run")
        try:
            yield folder
        finally:
            self.empty()

    def empty(self) -> None:
        """Remove all that is on the disk."""
        subprocess.run(["find", str(self.disk.path), "-mindepth", "1", "-delete"], check=True)

    def fails(self, arguments: list[str], moment: Moment | None = None) -> list[str]:
        """Run a command that meets a full disk. Return a line for each thing that is wrong with its failure."""
        code, stderr = self.attempt(arguments, moment)
        wrong = [] if code == 1 else [f"exit code {code}"]
        errors = [line for line in stderr.splitlines() if line.startswith("error: ")]
        if len(errors) != 1 or "the disk is full (" not in errors[0] or stderr.splitlines()[-1] != errors[0]:
            return [*wrong, f"said {stderr!r}"]
        if moment and not re.search(rf"\(\S*{re.escape(named(moment))}", errors[0]):
            return [*wrong, f"another file is named: {errors[0]}"]
        return wrong

    def attempt(self, arguments: list[str], moment: Moment | None, stdout: int = subprocess.DEVNULL) -> tuple[int, str]:
        """Run a command while the disk is full from `moment` on. Return its exit code and its standard error."""
        full = command(arguments)
        if moment:
            filling = [sys.executable, "-m", "reliability.trainings.disk_filler", moment.pattern, str(moment.n)]
            full = [*filling, str(self.disk.filler), *arguments]
        own = {name: value for name, value in training_environment().items() if name != "PYTHONUNBUFFERED"}
        done = subprocess.run(full, env=own, cwd=ROOT, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False)
        return done.returncode, done.stderr

    def goes_on(self, folder: RunFolder) -> list[str]:
        """Make room and continue the run. Return a line for each thing that is wrong with its end."""
        self.disk.make_room()
        try:
            succeed(next_arguments(self.data, folder, SETTINGS))
        except RuntimeError as error:
            return [f"no end: {error}"]
        return [f"another end: {what}" for what in differences(outcome(folder), self.wanted)]

    def try_half_a_line(self) -> None:
        """Fill the disk so that a line of the log is cut: the page in which it begins has room for a part of it."""
        with self.empty_run() as folder:
            wrong = self.fails(
                fit_arguments(self.data, folder, SETTINGS), Moment("", ".checkpoint.safetensors.tmp", 11)
            )
            self.disk.make_room()
            with folder.log_file.open("a", encoding="utf-8") as log:
                log.write(" " * (PAGE - 20 - folder.log_file.stat().st_size) + "\n")
            wrong += self.fails(["resume", str(folder.path)], Moment("", "log.txt"))
            self.trials.add("log.txt, half a line", [*wrong, *damaged(folder), *self.goes_on(folder)])

    def try_export(self, moment: Moment) -> None:
        """Try an export to a new place, and one that replaces an older model."""
        model = self.disk.path / "models" / "tiny"
        for _ in range(2):
            before = folder_bytes(model)
            wrong = self.fails([*self.export, str(model)], moment)
            if folder_bytes(model) != before or temporary_files(self.disk.path):
                wrong.append("half a model, or not the old one")
            self.disk.make_room()
            wrong += self.ends_well([*self.export, str(model)], lambda: folder_bytes(model), folder_bytes(self.model))
            if not wrong:
                load_model(model)
            self.trials.add(moment.kind, wrong)
        self.empty()

    def try_file(self, moment: Moment, arguments: list[str], file: Path) -> None:
        """Try to write a new file, and to replace an older one."""
        for old in (None, b"old"):
            file.unlink(missing_ok=True)
            if old is not None:
                file.write_bytes(old)
            wrong = self.fails(arguments, moment)
            if (file.read_bytes() if file.exists() else None) != old or temporary_files(self.disk.path):
                wrong.append("half a file, or not the old one")
            self.disk.make_room()
            self.trials.add(moment.kind, wrong + self.ends_well(arguments, lambda: bool(file.stat().st_size), True))
        self.empty()

    def try_standard_output(self, arguments: list[str]) -> None:
        """Try standard output that goes to a file on the disk. The shell opens the file, so it may be empty or cut."""
        file = self.disk.path / "figures.json"
        self.disk.leave(0)
        with file.open("wb") as stdout:
            code, stderr = self.attempt(arguments, None, stdout.fileno())
        wrong = [] if code == 1 and stderr.count("the disk is full") == 1 else [f"exit code {code}, said {stderr!r}"]
        self.disk.make_room()
        self.trials.add("evaluate --json > FILE", wrong + self.ends_well(arguments, lambda: True, True))
        self.empty()

    def ends_well(self, arguments: list[str], seen: Callable[[], object], wanted: object) -> list[str]:
        """Run the command again. Return a line for each thing that is wrong with its end."""
        try:
            succeed(arguments)
        except RuntimeError as error:
            return [f"no end: {error}"]
        return [] if seen() == wanted else ["another end"]


def named(moment: Moment) -> str:
    """Return the file that an error about this write names."""
    return moment.pattern.removeprefix(".").removesuffix(".tmp").removesuffix("*")


if __name__ == "__main__":
    sys.exit(main())
