"""What the service needs of the machine: without it the start ends with one line, and no traceback."""

import subprocess
import sys
from pathlib import Path

import pytest

from harness.repository import ROOT
from harness.service import environment, running
from tests.app.checks import assert_problem
from tests.app.test_settings import start_and_fail


@pytest.mark.skipif(sys.platform == "win32", reason="the limit of open files is Unix's")
@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_too_few_open_files(tmp_path: Path, workers: int) -> None:
    ended = subprocess.run(
        ["sh", "-c", 'ulimit -n 64; exec "$0" -m app', sys.executable],
        env=environment(port=0, workers=workers) | {"PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("error: this process may open 64 files, and the service needs 256; raise the limit")
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_no_temporary_folder(tmp_path: Path, workers: int) -> None:
    code = "import tempfile; tempfile._candidate_tempdir_list = lambda: ['/proc/nothing']"
    (tmp_path / "sitecustomize.py").write_text(code)
    ended = start_and_fail(tmp_path, port=0, workers=workers)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("error: no temporary folder can be written")
    assert ended.stderr.count("\n") == 1


def test_a_temporary_folder_that_fills_up_later(tmp_path: Path, models_dir: Path) -> None:
    """A large upload is refused, the log has one line, and the service goes on."""
    code = (
        "import os, tempfile\n"
        "def full(*_, **__): raise OSError(28, 'No space left on device')\n"
        "tempfile.TemporaryFile = full\n"
    )
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "sitecustomize.py").write_text(code)
    with running(tmp_path, models_dir=models_dir, python_path=tmp_path / "code") as service:
        answer = service.client.post("/v1/score", files={"files": b"\x89PNG" + bytes(3 * 2**20)})
        assert_problem(answer, 503, text="no room for an upload now; try again")
        assert answer.headers["retry-after"] == "1"
        assert service.client.get("/v1/samples?n=1").status_code == 200
        log = service.log.read_text()
        assert log.count("No space left on device") == 1
        assert "Traceback" not in log
