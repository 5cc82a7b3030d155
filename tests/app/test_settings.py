"""Settings, and the process around the service: how it starts, and how it ends."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from PIL import Image
from pydantic import ValidationError

from app.api.openapi import document
from app.api.routes import admin, health, interpolations, models, pages, projections, samples, score
from app.command_line import main
from app.main import create_app
from app.settings import OWN_PATHS, Settings
from harness.repository import ROOT
from harness.service import environment, running


def start_and_fail(folder: Path, **settings: object) -> subprocess.CompletedProcess[str]:
    """Start a service that cannot start, and wait for its end; modules in the folder are found before the others."""
    return subprocess.run(
        [sys.executable, "-m", "app"],
        env=environment(**settings) | {"PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=6000,
        check=False,
    )


@pytest.mark.parametrize("host", ["ü..b", "a..b", "x" * 64 + ".b"])
def test_a_host_that_cannot_be_a_name(
    tmp_path: Path, host: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "environ", environment(host=host, port=0))
    assert main([]) in (1, 2)
    said = capsys.readouterr().err
    assert said.startswith(f"error: GAN_HOST: {host!r} is no address") or "cannot listen on" in said
    assert said.count("\n") == 1


def test_all_bad_settings_are_told_at_once(tmp_path: Path) -> None:
    ended = start_and_fail(
        tmp_path, port=99999, device="tpu", max_body_bytes=-1, root_path="gan/", log_level="loud", max_queue_images=0
    )
    assert ended.returncode == 2
    for name in ("PORT", "DEVICE", "MAX_BODY_BYTES", "ROOT_PATH", "LOG_LEVEL", "MAX_QUEUE_IMAGES"):
        assert f"error: GAN_{name}: " in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    "device",
    [
        pytest.param(
            "cuda",
            marks=pytest.mark.skipif("__import__('torch').cuda.is_available()", reason="there is a CUDA device here"),
        ),
        pytest.param(
            "mps",
            marks=pytest.mark.skipif(
                "__import__('torch').backends.mps.is_available()", reason="there is an mps device here"
            ),
        ),
    ],
)
def test_a_device_that_is_not_there(tmp_path: Path, device: str) -> None:
    ended = start_and_fail(tmp_path, device=device)
    assert ended.returncode == 2
    assert f"GAN_DEVICE: device '{device}' was asked for" in ended.stderr


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ended = start_and_fail(tmp_path, port=taken.getsockname()[1])
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: cannot listen on 127.0.0.1:")
    assert "Traceback" not in ended.stderr


def test_dot_env_is_read(tmp_path: Path, models_dir: Path) -> None:
    (tmp_path / ".env").write_text(f"GAN_MODELS_DIR={models_dir}\nGAN_DEFAULT_MODEL=rgb\nOTHER=1\n")
    with running(tmp_path) as service:
        assert service.client.get("/v1/models").json()["default"] == "rgb"


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_it_ends_when_told_to(tmp_path: Path, models_dir: Path, number: signal.Signals) -> None:
    with running(tmp_path, models_dir=models_dir) as service:
        assert service.client.get("/v1/samples?n=1").status_code == 200
        service.process.send_signal(number)
        service.process.wait(timeout=120)
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{service.url}/healthz")
        assert "Traceback" not in service.log.read_text()


@pytest.mark.slow
def test_ipv6(tmp_path: Path, models_dir: Path) -> None:
    if not socket.has_ipv6 or not Path("/proc/net/if_inet6").exists():
        pytest.skip("this machine has no IPv6")
    with running(tmp_path, models_dir=models_dir, host="::1") as service:
        assert service.url.startswith("http://[::1]:")
        assert service.client.get("/healthz").status_code == 200


def test_importing_does_no_work() -> None:
    """No settings read, no model loaded, no thread started; and nothing of the training room."""
    code = (
        "import sys, threading; import app.main, app.command_line; "
        "assert threading.active_count() == 1; "
        "assert not [name for name in sys.modules if name.split('.')[0] in ('training', 'matplotlib', 'tensorboard')]"
    )
    bad = environment(port="nonsense") | {"PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], check=True, env=bad, timeout=600)


@pytest.mark.parametrize("prefix", ["/v1", "/docs", "/static/gan", "/metrics"])
def test_a_prefix_that_is_a_path_of_the_service(prefix: str) -> None:
    with pytest.raises(ValidationError, match="is a path of the service itself"):
        Settings(root_path=prefix)
    assert Settings(root_path=f"/gan{prefix}").root_path == f"/gan{prefix}"


def test_own_paths_are_those_of_the_routes() -> None:
    modules = (samples, interpolations, score, projections, models, health, admin, document, pages)
    paths = [getattr(route, "path", "") for module in modules for route in module.router.routes]
    assert {first for path in paths if (first := path.split("/")[1])} | {"static"} == OWN_PATHS


@pytest.mark.parametrize("name", ["port", "workers", "max_requests", "engine_timeout_s"])
def test_numbers_have_no_underscores(name: str) -> None:
    with pytest.raises(ValidationError, match="has an underscore"):
        Settings.model_validate({name: "2_1"})


def test_pillow_has_no_limit_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    create_app(Settings(max_file_pixels=10**9))
    assert Image.MAX_IMAGE_PIXELS is None


def test_other_origins_may_send_head() -> None:
    app = create_app(Settings(cors_origins="https://a.example"))  # type: ignore[arg-type]
    asked = {"Origin": "https://a.example", "Access-Control-Request-Method": "HEAD"}

    async def ask() -> int:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            return (await client.options("/v1/samples", headers=asked)).status_code

    assert asyncio.run(ask()) == 200


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_standard_output(tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full, (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "app"],
            env=environment(port=0) | {"PYTHONPATH": str(ROOT)},
            cwd=tmp_path,
            stdout=full,
            stderr=log,
        )
        try:
            while "Serving on" not in (said := (tmp_path / "log").read_text()) and process.poll() is None:
                time.sleep(0.05)
            url = said.partition("Serving on ")[2].split()[0]
            assert httpx.get(f"{url}/healthz", timeout=60).status_code == 200
        finally:
            process.terminate()
            assert process.wait(timeout=240) in (0, -signal.SIGTERM)  # uvicorn raises the signal again at the end
    assert "Traceback" not in (tmp_path / "log").read_text()


HANGS_UP_WHILE_IT_IMPORTS = """\
import os, signal, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "app.command_line":
            os.kill(os.getpid(), signal.SIGHUP)
sys.meta_path.insert(0, Finder())
"""

HANGS_UP_WHILE_IT_LOADS = """\
import os, signal, app.main
def load(*a, f=app.main.load_catalog, **k):
    os.kill(os.getpid(), signal.SIGHUP)
    return f(*a, **k)
app.main.load_catalog = load
"""


@pytest.mark.parametrize("hangs_up", [HANGS_UP_WHILE_IT_IMPORTS, HANGS_UP_WHILE_IT_LOADS])
def test_a_reload_ends_no_service_that_starts(tmp_path: Path, hangs_up: str) -> None:
    """The signal comes before the first import that takes long, and while the models are about to be loaded."""
    (tmp_path / "sitecustomize.py").write_text(hangs_up)
    with running(tmp_path, python_path=tmp_path) as service:
        assert service.client.get("/healthz").status_code == 200


@pytest.mark.parametrize("target", ["/v1/samples?n=100000&format=npz", "/v1/samples?n=4096&format=json"])
def test_a_download_that_is_cut_off_is_one_line(tmp_path: Path, target: str) -> None:
    """Its client reads nothing. It is an archive, which is drawn while it is sent, or JSON, which is whole before."""
    (tmp_path / "sitecustomize.py").write_text("import app.server.uvicorn_server as s\ns.ENDING_S = 0.5\n")
    with running(tmp_path, python_path=tmp_path) as service:
        address = httpx.URL(service.url)
        with socket.socket() as reader:
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            reader.settimeout(60)
            reader.connect((address.host, address.port))
            reader.sendall(f"GET {target} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
            assert reader.recv(15) == b"HTTP/1.1 200 OK"
            service.process.terminate()
            assert service.process.wait(timeout=100) in (0, -signal.SIGTERM)
    lines = service.log.read_text().splitlines()
    warned = "WARNING app.server.uvicorn_server: 1 request was cut off, because it had not ended 0.5 s after"
    assert [line for line in lines if not line.startswith("INFO ")] == [f"{warned} the order to stop"]
