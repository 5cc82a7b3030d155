"""The container's files. The image itself is built and tried by scripts/build-container.sh, not here."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent
HADOLINT = Path(sys.executable).parent / "hadolint"


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions, in order, continued lines joined."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [(line.split()[0], line.partition(" ")[2].strip()) for line in text.splitlines() if line.strip()]


def last_stage() -> list[tuple[str, str]]:
    found = instructions()
    start = max(k for k, (name, _) in enumerate(found) if name == "FROM")
    return found[start:]


def compose() -> dict[str, Any]:
    parsed: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    return parsed


def test_hadolint_has_nothing_to_say() -> None:
    linted = subprocess.run([HADOLINT, ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (linted.returncode, linted.stdout) == (0, "")


def test_hadolint_can_fail(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM debian\nRUN cd /tmp && sudo make\n")
    assert subprocess.run([HADOLINT, tmp_path / "Dockerfile"], capture_output=True, check=False).returncode != 0


def test_it_starts_the_service_by_an_exec_form() -> None:
    assert [json.loads(value) for name, value in last_stage() if name == "ENTRYPOINT"] == [["python", "-m", "app"]]


def test_it_does_not_run_as_root() -> None:
    (user,) = [value for name, value in last_stage() if name == "USER"]
    assert user.isascii()
    assert int(user.split(":")[0]) > 0


def test_its_health_is_its_readiness() -> None:
    (check,) = [value for name, value in last_stage() if name == "HEALTHCHECK"]
    command = json.loads(check.partition("CMD ")[2])
    assert command[:2] == ["python", "-c"]
    assert "/readyz" in command[2]
    compile(command[2], "healthcheck", "exec")


def test_only_the_service_and_its_models_are_copied() -> None:
    copied = [value for name, value in last_stage() if name == "COPY"]
    assert copied == ["--from=build /opt/gan /opt/gan", "app/ app/", "models/ models/"]
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert allowed == ["app/", "models/", "constraints.txt", "pyproject.toml"]


def test_device_and_torch_are_build_arguments() -> None:
    arguments = {value.partition("=")[0]: value.partition("=")[2] for name, value in instructions() if name == "ARG"}
    assert arguments["DEVICE"] == "cpu"
    assert arguments["TORCH"] == "torch==2.13.0"
    assert "TORCH_INDEX_URL" in arguments


def test_compose_gives_it_no_more_than_it_needs() -> None:
    for name, service in compose()["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert service["ports"] == ["127.0.0.1:${PORT:-8000}:8000"], name


def test_compose_knows_cuda_by_a_profile() -> None:
    services = compose()["services"]
    assert "profiles" not in services["gan"]
    assert services["cuda"]["profiles"] == ["cuda"]
    assert services["cuda"]["build"]["args"]["DEVICE"] == "cuda"
    (device,) = services["cuda"]["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]
