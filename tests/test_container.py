"""The container's files. The image itself is built and tried by scripts/build-container.sh, not here."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
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


def health_check() -> tuple[str, list[str]]:
    """The options of the Dockerfile's health check, and its command."""
    (check,) = [value for name, value in last_stage() if name == "HEALTHCHECK"]
    options, _, command = check.partition("CMD ")
    words: list[str] = json.loads(command)
    return options, words


def compose() -> dict[str, Any]:
    parsed: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    return parsed


@pytest.fixture
def service() -> Iterator[HTTPServer]:
    """Answers /readyz, and nothing else, with the status that `service.status` says."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(server.status if self.path == "/readyz" else 404)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    class Server(HTTPServer):
        status = 200

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def run_health_check(port: int) -> int:
    command = [sys.executable, *health_check()[1][1:]]
    # An engine may hand a proxy to every container; nothing listens at this one.
    environment = os.environ | {"GAN_PORT": str(port), "http_proxy": "http://127.0.0.1:9", "no_proxy": ""}
    return subprocess.run(command, env=environment, capture_output=True, check=False).returncode


def test_hadolint_has_nothing_to_say() -> None:
    linted = subprocess.run([HADOLINT, ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (linted.returncode, linted.stdout) == (0, "")


def test_hadolint_can_fail(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM debian\nRUN cd /tmp && sudo make\n")
    assert subprocess.run([HADOLINT, tmp_path / "Dockerfile"], capture_output=True, check=False).returncode != 0


def test_it_starts_the_service_by_an_exec_form() -> None:
    assert [json.loads(value) for name, value in last_stage() if name == "ENTRYPOINT"] == [["python", "-m", "app"]]
    assert not [value for name, value in last_stage() if name == "CMD"]


def test_it_listens_on_every_interface_of_the_container() -> None:
    (environment,) = [value for name, value in last_stage() if name == "ENV"]
    assert "GAN_HOST=0.0.0.0" in environment.split()
    assert [value for name, value in last_stage() if name == "EXPOSE"] == ["8000"]
    assert "GAN_PORT=8000" in environment.split()


def test_it_does_not_run_as_root() -> None:
    (user,) = [value for name, value in last_stage() if name == "USER"]
    assert user.isascii()
    assert all(int(number) > 0 for number in user.split(":"))


def test_its_health_check_asks_python_alone() -> None:
    assert health_check()[1][:2] == ["python", "-c"]


def test_its_health_check_is_the_readiness_of_the_service(service: Any) -> None:
    assert run_health_check(service.server_port) == 0
    service.status = 503
    assert run_health_check(service.server_port) == 1


def test_its_health_check_fails_when_nobody_listens() -> None:
    with socket.socket() as taken:  # bound, so that nobody else takes it, but not listening
        taken.bind(("127.0.0.1", 0))
        assert run_health_check(taken.getsockname()[1]) == 1


LICENCES = ["LICENSE NOTICE ./", "LICENSES/ LICENSES/"]


def test_only_the_service_and_its_models_are_copied() -> None:
    copied = [value.removeprefix("--chmod=755 ") for name, value in last_stage() if name in {"COPY", "ADD"}]
    assert copied == ["--from=build /opt/gan /opt/gan", "app/ app/", "models/ models/", "viewer/ viewer/", *LICENCES]
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    assert [line for line in lines if line.startswith("!")] == [
        "!app/",
        "!models/",
        "!viewer/",
        "!LICENSE",
        "!LICENSES/",
        "!NOTICE",
        "!constraints.txt",
        "!pyproject.toml",
    ]


def test_only_the_extra_of_the_service_is_installed() -> None:
    installed = " ".join(value for name, value in instructions() if name == "RUN")
    assert re.findall(r"\['optional-dependencies'\]\['(\w+)'\]", installed) == ["app"]
    assert installed.count("pip install") == installed.count("--constraint constraints.txt") == 2


def test_device_torch_and_base_are_build_arguments() -> None:
    arguments = {value.partition("=")[0]: value.partition("=")[2] for name, value in instructions() if name == "ARG"}
    assert arguments["BASE"].startswith("python:3.1")
    assert arguments["DEVICE"] == "cpu"
    assert arguments["TORCH"] in (ROOT / "constraints.txt").read_text().splitlines()
    assert arguments["TORCH_INDEX_URL"] == ""


def test_its_label_gives_the_licence_of_the_project_without_the_data_of_training() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (labels,) = [value for name, value in last_stage() if name == "LABEL"]
    licence = project["license"].removesuffix(" AND CC-BY-SA-3.0")
    assert licence != project["license"]
    assert f'org.opencontainers.image.licenses="{licence}"' in labels


def test_compose_gives_it_no_more_than_it_needs() -> None:
    for name, settings in compose()["services"].items():
        assert settings["read_only"] is True, name
        assert settings["tmpfs"] == ["/tmp"], name  # noqa: S108
        assert settings["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in settings["security_opt"], name
        assert settings["ports"] == ["127.0.0.1:${PORT:-8000}:8000"], name
        assert re.fullmatch(r"\dg", settings["mem_limit"]), name


def test_compose_has_the_health_check_of_the_image() -> None:
    options, command = health_check()
    for name, settings in compose()["services"].items():
        check = {f"--{key.replace('_', '-')}": value for key, value in settings["healthcheck"].items()}
        assert check.pop("--test") == ["CMD", *command], name
        assert {key: str(value) for key, value in check.items()} == dict(
            option.split("=") for option in options.split()
        ), name


def test_compose_knows_cuda_by_a_profile() -> None:
    services = compose()["services"]
    assert "profiles" not in services["gan"]
    assert services["cuda"]["profiles"] == ["cuda"]
    assert services["cuda"]["build"]["args"]["DEVICE"] == "cuda"
    (device,) = services["cuda"]["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])


def test_the_build_script_names_the_tool_that_is_missing(tmp_path: Path) -> None:
    for tool in ("bash", "dirname", "realpath", "id", "buildah"):
        (tmp_path / tool).symlink_to(shutil.which(tool) or "/bin/true")
    work = tmp_path / "work"
    script = [ROOT / "scripts" / "build-container.sh", work]
    ended = subprocess.run(script, env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: debootstrap is not installed: apt-get install ")
    assert not work.exists()


def test_the_build_script_takes_no_folder_of_somebody_elses(tmp_path: Path) -> None:
    work = tmp_path / "work"
    (work / "tmp").mkdir(parents=True)
    (work / "tmp" / "letter.txt").write_text("Dear Ann")
    script = [ROOT / "scripts" / "build-container.sh", work]
    ended = subprocess.run(script, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"error: {work} is not empty and was not made by this script")
    assert (work / "tmp" / "letter.txt").read_text() == "Dear Ann"
