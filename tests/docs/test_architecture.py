"""docs/architecture.md tells the way of a request as a trace finds it, and names every room."""

import asyncio
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import pytest

from harness.repository import ROOT
from models import bundled_models_dir
from tests.app.server.test_fast_path import get, served

ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()
DOOR_OF_G = "models/inference/word_sampler.py"
METRICS = "app/telemetry/metrics.py"
MOST_FILES = 12


def told_way() -> list[str]:
    """The files of the numbered list."""
    section = ARCHITECTURE.split("## The way of `seed=7`")[1].split("\n## ")[0]
    return re.findall(r"^\d+\. `([\w/.]+)`", section, re.MULTILINE)


@dataclass
class Entered:
    """The files of this repository whose functions are called, in the order of their first calls.

    Attributes:
        here: those that the thread calls that traces.
        elsewhere: those that threads call that began within the trace, such as the engine's.
    """

    here: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)

    def clear(self) -> None:
        """Forget what was entered so far."""
        self.here.clear()
        self.elsewhere.clear()


@contextmanager
def traced() -> Iterator[Entered]:
    """Note the files that are entered meanwhile."""
    entered = Entered()

    def noting(found: list[str]) -> Callable[[FrameType, str, object], None]:
        def note(frame: FrameType, event: str, _argument: object) -> None:
            file = Path(frame.f_code.co_filename)
            if event == "call" and file.is_relative_to(ROOT):
                name = str(file.relative_to(ROOT))
                if name not in found and not name.startswith(("tests/", "harness/")):
                    found.append(name)

        return note

    threading.setprofile(noting(entered.elsewhere))  # of the threads that begin now: the engine's
    sys.setprofile(noting(entered.here))
    try:
        yield entered
    finally:
        threading.setprofile(None)
        sys.setprofile(None)


def stops(entered: list[str]) -> list[str]:
    """The files that the page is to name."""
    return [file for file in entered if file.startswith("app/") or file == DOOR_OF_G]


@pytest.mark.parametrize("model", ["mnist-conv", "mnist-mlp"])
def test_the_way_of_a_request(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.telemetry.metrics.SETTLE_S", 60)  # counting goes on later, for many requests together
    monkeypatch.setattr("app.inference.watchdog.TICK_S", 60)  # on a busy machine, a tick would fall into the trace

    async def ask() -> Entered:
        with traced() as entered:
            async with served(bundled_models_dir(), default_model=model) as here:
                await here.ask(get("seed=6"))  # its plan is kept
                entered.clear()
                answer = await here.ask(get("seed=7"))
                way = Entered(entered.here.copy(), entered.elsewhere.copy())
        assert b"\r\n\r\n\x89PNG" in answer
        assert here.ordinary == []
        return way

    way = asyncio.run(ask())
    on_the_loop, told = stops(way.here), told_way()
    everywhere = {*on_the_loop, *stops(way.elsewhere)}
    assert sorted(everywhere) == sorted(told)
    assert len(told) <= MOST_FILES
    # The way in, in its order. The engine's thread is not asked: it may still be at the end of the request before.
    assert [file for file in on_the_loop if file in told[:8]] == [file for file in told[:8] if file in on_the_loop]
    assert on_the_loop[-2:] == [told[-1], METRICS]  # G's pixels become a PNG, and the answer is counted


def test_every_room_is_named() -> None:
    section = ARCHITECTURE.split("## Rooms")[1].split("\n## ")[0]
    for top in ("app", "training", "models"):
        rooms = {path.parent.name for path in (ROOT / top).glob("*/__init__.py")}
        assert {room for room in rooms if f"{room}/" not in section} == set()
        modules = {path.stem for path in (ROOT / top).glob("*.py")} - {"__init__", "__main__"}
        head = section.split(f"    {top}/")[1].split("\n")[0].split()
        assert modules - set(head) == set()
