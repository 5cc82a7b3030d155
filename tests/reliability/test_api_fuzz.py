"""A short version of the trial: a few hundred random requests and chains of them."""

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.service import running
from harness.tiny_models import write_models_named_as_bundled
from reliability import api_fuzz
from reliability.api_fuzz import RANDOM_PHASES, FuzzRound, answers_table, ask, count


@pytest.mark.slow
def test_every_answer_is_as_documented(tmp_path: Path):
    with running(tmp_path, models_dir=write_models_named_as_bundled(tmp_path / "models"), log_level="error") as service:
        done = ask(service.url, tmp_path, phases=RANDOM_PHASES, examples=12, seed=1)
        answers = count(service)
        log = service.log.read_text()
    assert done.wrong == "", done.wrong
    assert done.operations == 13
    assert done.cases > 100
    assert answers.total() >= done.cases
    assert max(status for _, status in answers) < 500
    assert {status for _, status in answers} >= {200, 404, 422}
    assert log == ""


def test_what_is_wrong_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """A round that found something is the last; the exit code says so."""
    rounds = [FuzzRound(cases=7, operations=13, wrong=""), FuzzRound(cases=8, operations=13, wrong="FAILURES: ST205")]

    @contextmanager
    def no_service(_folder: Path, **_settings: object) -> Iterator[SimpleNamespace]:
        log = tmp_path / "log"
        log.touch()
        yield SimpleNamespace(url="", log=log)

    monkeypatch.setattr(api_fuzz, "running", no_service)
    monkeypatch.setattr(api_fuzz, "count", lambda _service: Counter({("GET /", 200): 15}))
    monkeypatch.setattr(api_fuzz, "ask", lambda *_arguments, **_named: rounds.pop(0))
    monkeypatch.setattr(sys, "argv", ["api_fuzz", "--cases", "15"])
    assert api_fuzz.main() == 1
    out = capsys.readouterr().out
    assert "15 cases in 2 rounds" in out
    assert out.endswith("\nFAILURES: ST205")


def test_nobody_there_is_no_success(tmp_path: Path):
    done = ask("http://127.0.0.1:9", tmp_path, phases=("examples",), examples=1, seed=1)
    assert done.cases == 0
    assert done.wrong


def test_the_table_has_every_status():
    text = answers_table(Counter({("GET /v1/samples", 200): 3, ("POST /v1/score", 415): 2, ("GET /v1/score", 405): 4}))
    assert [line.replace(" ", "") for line in text.splitlines() if "--" not in line] == [
        "|theserviceanswered|200|405|415|",
        "|GET/v1/samples|3|0|0|",
        "|POST/v1/score|0|0|2|",
        "|amethodthatthepathdoesnottake|0|4|0|",
        "|all9|3|4|2|",
    ]
