"""What the service needs of the machine: without it the start ends with one line, and no traceback."""

import subprocess
import sys
from pathlib import Path

import pytest

from harness.repository import ROOT
from harness.service import environment
from tests.app.test_settings import start_and_fail


@pytest.mark.skipif(sys.platform == "win32", reason="the limit of open files is Unix's")
@pytest.mark.parametrize("workers", [1, 2])
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


@pytest.mark.parametrize("workers", [1, 2])
def test_no_temporary_folder(tmp_path: Path, workers: int) -> None:
    code = "import tempfile; tempfile._candidate_tempdir_list = lambda: ['/proc/nothing']"
    (tmp_path / "sitecustomize.py").write_text(code)
    ended = start_and_fail(tmp_path, port=0, workers=workers)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("error: no temporary folder can be written")
    assert ended.stderr.count("\n") == 1
