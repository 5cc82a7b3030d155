"""The measurement of production's settings runs, and each setting is on while it is measured. No figure is judged."""

import sys
from pathlib import Path

import pytest

from benchmarks import production
from benchmarks.production import BARE, CORS, SETTINGS, check_answer, runs
from harness.pinned_services import started
from harness.service_specs import RequestTemplate, ours
from harness.tiny_models import make_tiny_model_folder
from tests.benchmarks.commands import LOAD, needs_wrk, rows_of, run


@pytest.mark.slow
@needs_wrk
def test_production(tmp_path: Path) -> None:
    make_tiny_model_folder(tmp_path / "mnist-mlp", z_dim=16, classes=10)
    printed = run("production", "--models-dir", str(tmp_path), "--rounds", "1", *LOAD, "--base", "HEAD")
    rows = rows_of(printed)
    settings, bare = rows[2 : 2 + len(SETTINGS)], rows[4 + len(SETTINGS) :]
    assert [row[0] for row in settings] == [setting.name for setting in SETTINGS]
    assert settings[0][2] == "1.00"
    assert [row[0] for row in bare] == ["one image", "64 grid"]
    assert {row[-1] for row in settings + bare} == {"0"}, "a request failed"


def test_settings_that_only_change_the_request_share_a_service(tmp_path: Path) -> None:
    shared, base, *alone = runs(tmp_path, "tiny", tmp_path)
    assert list(shared.requests) == ["bare", "digit=7", "format=json", "64 grid"]
    assert list(base.requests) == ["one image, base", "64 grid, base"]
    assert (shared.spec.folder, base.spec.folder) == (None, tmp_path)
    assert base.spec.environment == shared.spec.environment
    assert [list(run.requests) for run in alone] == [
        *(["API keys"], ["JSON access log"], ["CORS"]),
        ["keys, access log, CORS, digit"],
    ]
    *single, together = (run.spec.environment.items() for run in alone)
    assert together == set().union(*single)


def test_a_setting_that_is_not_on_is_seen(tmp_path: Path) -> None:
    make_tiny_model_folder(tmp_path / "tiny")
    with started(ours(tmp_path, "tiny")) as service:
        check_answer(service.port, BARE.name, RequestTemplate(BARE.target))
        with pytest.raises(RuntimeError, match="CORS: the answer lacks Access-Control-Allow-Origin"):
            check_answer(service.port, CORS.name, RequestTemplate(CORS.target, headers=CORS.headers))


def test_an_unknown_revision_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(production, "need_wrk", lambda: None)
    monkeypatch.setattr(sys, "argv", ["production", "--base", "no-such-revision"])
    with pytest.raises(SystemExit, match=r"^error: git worktree add .*no-such-revision"):
        production.main()
