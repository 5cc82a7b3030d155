"""Settings, and the process around the service: how it starts, and how it ends."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

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
def test_a_host_that_cannot_be_a_name(tmp_path: Path, host: str) -> None:
    ended = start_and_fail(tmp_path, host=host, port=0)
    assert ended.returncode in (1, 2)
    assert ended.stderr.startswith(f"error: GAN_HOST: {host!r} is no address") or "cannot listen on" in ended.stderr
    assert ended.stderr.count("\n") == 1


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
@pytest.mark.skipif("__import__('torch').cuda.is_available()", reason="there is a CUDA device here")
def test_a_device_that_is_not_there(tmp_path: Path) -> None:
    ended = start_and_fail(tmp_path, device="cuda")
    assert ended.returncode == 2
    assert "GAN_DEVICE: device 'cuda' was asked for" in ended.stderr


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
