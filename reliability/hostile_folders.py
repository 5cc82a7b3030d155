"""Hostile model folders beside a good one: `python -m reliability.hostile_folders`.

A real service is started on one good model folder and many bad ones, each bad in its own way. It must become ready
soon, serve the good one, and list each bad one with its own message, which must not contain a path of the machine. Then
good folders are made bad in the same ways while the service runs, and it is told to read them again (SIGHUP): it must
keep serving the models that it had loaded. Last, a folder is changed again and again while it is read.
"""

import argparse
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from harness.report import describe_machine, table
from harness.service import Service, running
from harness.tiny_models import make_tiny_model_folder
from reliability.hostile.model_folders import DAMAGES, NAMES, WEIGHTS

START_S, RELOAD_S = 60.0, 60.0
"""Longest time of a start and of a reload; other work may run on the machine."""


def main() -> int:
    """Run the trial and print its tables. Return 1 if something was wrong, otherwise 0."""
    parser = argparse.ArgumentParser(description="Put hostile model folders beside a good one.")
    parser.add_argument(
        "--reloads", type=int, default=20, help="number of reloads while a folder changes (default: 20)"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gan-folders-") as work:
        started = FolderTrial(Path(work) / "start")
        start_s = at_start(started)
        reloaded = FolderTrial(Path(work) / "reload")
        reload_s = at_reload(reloaded)
        changing = FolderTrial(Path(work) / "changing")
        seen = while_it_changes(changing, options.reloads)
    print(f"{describe_machine()}; ready in {start_s:.1f} s, read again in {reload_s:.1f} s\n")
    rows = [
        [kind, message, "yes" if reloaded.messages.get(kind) == message else reloaded.messages.get(kind, "no")]
        for kind, message in started.messages.items()
    ]
    print(table(["folder", "what the service says of it", "the same when it became so"], rows))
    print(f"\nRead {options.reloads} times while it changed: {seen}.")
    wrong = started.wrong + reloaded.wrong + changing.wrong
    print("".join(f"\n{text}" for text in wrong), end="")
    return 1 if wrong else 0


class FolderTrial:
    """A folder of model folders, the messages of the service about them, and what was wrong."""

    def __init__(self, work: Path) -> None:
        self.work, self.models = work, work / "models"
        self.models.mkdir(parents=True)
        make_tiny_model_folder(self.models / "good")
        self.messages: dict[str, str] = {}
        self.wrong: list[str] = []

    @contextmanager
    def service(self) -> Iterator[Service]:
        """Run the real service on the folder, and check afterwards that its log has no traceback."""
        with running(self.work, models_dir=self.models, default_model="good", log_level="error") as service:
            yield service
            log = service.log.read_text(encoding="utf-8", errors="replace")
            if "Traceback" in log:
                self.wrong.append(f"the log: {log[-3000:]}")

    def look(self, service: Service, *, ready: bool) -> None:
        """Check that each bad folder is listed with its message.

        Args:
            service: the service to ask.
            ready: whether a version that was loaded before must be served.
        """
        answer = service.client.get("/readyz")
        if answer.status_code != 200:
            self.wrong.append(f"/readyz: {answer.status_code}")
        listed = {
            model["name"]: model for model in service.client.get("/v1/models").raise_for_status().json()["models"]
        }
        for number, (kind, (_, message)) in enumerate(DAMAGES.items()):
            told = listed.get(f"bad-{number}", {}).get("error") or "nothing"
            self.messages[kind] = told.replace(f"bad-{number}/", "")[:60]
            if message not in told or str(self.work) in told or listed[f"bad-{number}"]["ready"] != ready:
                self.wrong.append(f"{kind}: the service said {told!r}, not {message!r}")
        self.ask(service, "good")

    def ask(self, service: Service, model: str) -> None:
        """Check that a model draws."""
        answer = service.client.get("/v1/samples", params={"n": 4, "seed": 1, "model": model})
        if answer.status_code != 200:
            self.wrong.append(f"{model}: {answer.status_code}")


def at_start(trial: FolderTrial) -> float:
    """Start the service on bad folders. Return the seconds until it was ready."""
    for number, (damage, _) in enumerate(DAMAGES.values()):
        damage(make_tiny_model_folder(trial.models / f"bad-{number}", seed=number))
    for number, make in enumerate(NAMES):
        make(trial.models, number)
    began = time.monotonic()
    with trial.service() as service:
        seconds = time.monotonic() - began
        trial.look(service, ready=False)
        names = [model["name"] for model in service.client.get("/v1/models").json()["models"]]
        if len(names) != 1 + len(DAMAGES) + len(NAMES):
            trial.wrong.append(f"wrong list of models: {names}")
        if not all(name.isprintable() for name in names):
            trial.wrong.append("a listed name cannot be printed")
    if seconds > START_S:
        trial.wrong.append(f"ready after {seconds:.0f} s, not within {START_S:.0f} s")
    return seconds


def at_reload(trial: FolderTrial) -> float:
    """Make good folders bad while the service runs. Return the seconds of the reload."""
    for number in range(len(DAMAGES)):
        make_tiny_model_folder(trial.models / f"bad-{number}", seed=number)
    with trial.service() as service:
        for number, (damage, _) in enumerate(DAMAGES.values()):
            damage(trial.models / f"bad-{number}")
        began = time.monotonic()
        service.process.send_signal(signal.SIGHUP)
        while len(service.client.get("/readyz").json()["broken"]) < len(DAMAGES):
            if time.monotonic() - began > RELOAD_S:
                trial.wrong.append(f"the folders were not read again within {RELOAD_S:.0f} s")
                break
            time.sleep(0.05)
        seconds = time.monotonic() - began
        trial.look(service, ready=True)
        for number in range(len(DAMAGES)):
            trial.ask(service, f"bad-{number}")
            # A picture may be a pipe or a link: no request may hang, and none may return another file.
            for epoch in range(3):
                answer = service.client.get(f"/v1/models/bad-{number}/timeline/{epoch}.png", timeout=20)
                if answer.status_code not in {200, 404} or b"secret" in answer.content:
                    trial.wrong.append(f"bad-{number}/timeline/{epoch}.png: {answer.status_code}")
    return seconds


def while_it_changes(trial: FolderTrial, reloads: int) -> str:
    """Cut, remove and rewrite weights repeatedly while the service reloads. Return a sentence about what was seen."""
    model = make_tiny_model_folder(trial.models / "changing")
    file, whole = model / WEIGHTS, (model / WEIGHTS).read_bytes()
    stop = threading.Event()

    def change() -> None:
        while not stop.is_set():
            file.write_bytes(whole[: len(whole) // 2])
            file.unlink()
            os.mkfifo(file)
            file.unlink()
            file.write_bytes(whole)
            time.sleep(0.02)

    broken = 0
    with trial.service() as service:
        thread = threading.Thread(target=change)
        thread.start()
        try:
            for _ in range(reloads):
                service.process.send_signal(signal.SIGHUP)
                time.sleep(0.1)
                broken += bool(service.client.get("/readyz").json()["broken"])
                trial.ask(service, "good")
        except httpx.HTTPError as error:
            trial.wrong.append(f"while a folder changed: {error!r}")
        finally:
            stop.set()
            thread.join()
        if service.process.poll() is not None:
            trial.wrong.append("the service has ended")
    return f"{broken} times it was bad just then, {reloads - broken} times not"


if __name__ == "__main__":
    sys.exit(main())
