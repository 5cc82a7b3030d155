"""docs/architecture.md tells the way of a request as a trace finds it, and names every room."""

import asyncio
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest

from harness.repository import ROOT
from models import bundled_models_dir
from tests.app.server.test_fast_path import get, served

ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()
DOOR_OF_G = "models/inference/word_sampler.py"
MOST_FILES = 12


def told_way() -> list[str]:
    """The files of the numbered list."""
    section = ARCHITECTURE.split("## The way of `seed=7`")[1].split("\n## ")[0]
    return re.findall(r"^\d+\. `([\w/.]+)`", section, re.MULTILINE)


@contextmanager
def traced() -> Iterator[list[str]]:
    """The files of this repository whose functions are called meanwhile, in any thread begun within a trace."""
    entered: list[str] = []

    def note(frame: FrameType, event: str, _argument: object) -> None:
        file = Path(frame.f_code.co_filename)
        if event == "call" and file.is_relative_to(ROOT):
            name = str(file.relative_to(ROOT))
            if name not in entered and not name.startswith(("tests/", "harness/")):
                entered.append(name)

    threading.setprofile(note)  # of the threads that begin now: the engine's
    sys.setprofile(note)
    try:
        yield entered
    finally:
        threading.setprofile(None)
        sys.setprofile(None)


@pytest.mark.parametrize("model", ["mnist-conv", "mnist-mlp"])
def test_the_way_of_a_request(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.telemetry.metrics.SETTLE_S", 60)  # counting goes on later, for many requests together

    async def ask() -> list[str]:
        with traced() as entered:
            async with served(bundled_models_dir(), default_model=model) as here:
                await here.ask(get("seed=6"))  # its plan is kept
                entered.clear()
                answer = await here.ask(get("seed=7"))
                way = entered.copy()
        assert b"\r\n\r\n\x89PNG" in answer
        assert here.ordinary == []
        return way

    way = asyncio.run(ask())
    stops = [file for file in way if file.startswith("app/") or file == DOOR_OF_G]
    assert len(stops) == len(set(stops)) <= MOST_FILES
    assert sorted(stops) == sorted(told_way())
    on_the_loop = [file for file in told_way()[:8] if file in stops]
    assert [file for file in stops if file in on_the_loop] == on_the_loop
    assert stops[-1] == told_way()[-1]  # G's pixels become a PNG


def test_every_room_is_named() -> None:
    section = ARCHITECTURE.split("## Rooms")[1].split("\n## ")[0]
    for top in ("app", "training", "models"):
        rooms = {path.parent.name for path in (ROOT / top).glob("*/__init__.py")}
        assert {room for room in rooms if f"{room}/" not in section} == set()
        modules = {path.stem for path in (ROOT / top).glob("*.py")} - {"__init__", "__main__"}
        head = section.split(f"    {top}/")[1].split("\n")[0].split()
        assert modules - set(head) == set()
