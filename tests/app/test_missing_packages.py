"""The service in an environment without one of its packages: a real interpreter that cannot import it."""

import subprocess
import sys

import pytest

LACKING = "import sys; sys.modules[{package!r}] = None; from app.__main__ import main; sys.exit(main())"


def run_without(package: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", LACKING.format(package=package)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("package", ["fastapi", "uvicorn", "pydantic_settings", "PIL"])
def test_the_service_says_what_it_lacks(package: str) -> None:
    done = run_without(package)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"error: the service needs {package}, which {sys.executable} does not have: `make")


def test_a_module_of_our_own_that_is_missing_is_a_bug() -> None:
    done = run_without("models.device")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
