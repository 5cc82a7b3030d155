"""Several worker processes behind one port give the same answers and exact sums, and leave no process behind."""

import errno
import io
import os
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import numpy as np
import pytest
from pydantic import ValidationError

from app.server.shared_folder import PREFIX, shared_folder
from app.server.supervisor import MAX_FAILED_STARTS, WorkersError, supervise
from app.server.uvicorn_server import listen_beside, reserve
from app.settings import Settings
from harness.service import Service, held_requests, running
from harness.tiny_models import make_tiny_model_folder
from models import __version__
from tests.app.test_settings import start_and_fail
from tests.test_version import assert_build_info

DEADLINE_S = 240  # for a machine that is busy with other things

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="workers are observed through /proc")


def children(process: int) -> set[int]:
    """Return the processes that a process has started and that have not ended."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
        except OSError:  # it ended meanwhile
            continue
        if int(parent) == process and state != "Z":
            found.add(int(path.parent.name))
    return found


def is_gone(process: int) -> bool:
    """Whether a process has ended, even if its parent has not waited for it yet.

    The first thread is a zombie as soon as it has ended; the process's sockets stay open until the last thread ends.
    """
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        return state == "Z" and len(list(Path(f"/proc/{process}/task").iterdir())) == 1
    except OSError:
        return True


def wait_until(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not true():
        assert time.monotonic() < deadline, f"not within {DEADLINE_S} s: {what}"
        time.sleep(0.02)


def connections(process: int, port: int) -> int:
    """Return how many established connections a process has at its own port."""
    inodes = set()
    for line in Path(f"/proc/{process}/net/tcp").read_text().splitlines()[1:]:
        local, state, inode = (line.split()[k] for k in (1, 3, 9))
        if int(local.split(":")[1], 16) == port and state == "01":
            inodes.add(f"socket:[{inode}]")
    found = 0
    for path in Path(f"/proc/{process}/fd").iterdir():
        try:
            found += str(path.readlink()) in inodes
        except OSError:  # closed meanwhile
            continue
    return found


def port_of(service: Service) -> int:
    port = httpx.URL(service.url).port
    assert port is not None
    return port


def connect_to_each(service: Service, workers: set[int]) -> dict[int, httpx.Client]:
    """Return a client for each worker, whose only connection is to that worker."""
    clients: dict[int, httpx.Client] = {}
    for _ in range(200):  # the kernel picks a worker for each: that one is never picked has a chance of 1 in 2¹⁹⁹
        before = {worker: connections(worker, port_of(service)) for worker in workers}
        client = httpx.Client(base_url=service.url, timeout=60, limits=httpx.Limits(max_connections=1))
        client.get("/healthz")
        (worker,) = [worker for worker in workers if connections(worker, port_of(service)) > before[worker]]
        if worker in clients:
            client.close()
            wait_until(lambda: connections(worker, port_of(service)) <= before[worker], "a connection is closed")  # noqa: B023
        else:
            clients[worker] = client
        if len(clients) == len(workers):
            return clients
    raise AssertionError(f"of {len(workers)} workers only {len(clients)} were met")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    make_tiny_model_folder(folder / "mnist-conv")
    return folder


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for the temporary files of a test's services."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


@pytest.fixture(scope="module")
def unharmed(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, Path]]:
    """A service that no test ends, and its folder for temporary files. Before the first test nothing is counted."""
    temporary = tmp_path_factory.mktemp("temporary")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(temporary))
        with running(tmp_path_factory.mktemp("unharmed"), models_dir=tiny, workers=2) as started:
            yield started, temporary


@pytest.fixture
def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture
def service(tmp_path: Path, tiny: Path, temporary: Path) -> Iterator[Service]:
    with running(tmp_path, models_dir=tiny, workers=2) as started:
        yield started


def test_the_same_from_each_worker_and_one_sum(unharmed: tuple[Service, Path]) -> None:
    service, temporary = unharmed
    workers = children(service.process.pid)
    assert len(workers) == 2
    clients = connect_to_each(service, workers)
    assert len({client.get("/v1/samples?seed=7&n=20").content for client in clients.values()}) == 1
    for worker, client in clients.items():
        assert client.get("/readyz").json()["ready"], worker

    for n in range(1, 21):  # each on a new connection
        httpx.get(f"{service.url}/v1/samples?n={n}", timeout=60)
    drawn = 2 * 20 + sum(range(1, 21))

    def told() -> list[dict[str, float]]:
        return [sums(client.get("/metrics").text) for client in clients.values()]

    wait_until(lambda: all(one["gan_images_generated_total"] == drawn for one in told()), "all images are counted")
    wait_until(
        lambda: all(
            one['gan_http_requests_total{method="GET",route="/v1/samples",status="200"}'] == 22 for one in told()
        ),
        "all requests are counted",
    )
    for one in told():
        assert one['gan_http_request_seconds_count{route="/v1/samples"}'] == 22
        assert one['gan_http_request_seconds_bucket{le="+Inf",route="/v1/samples"}'] == 22
        assert one["gan_engine_waiting_rows"] == 0
        assert one["gan_waiting_projections"] == 0
        assert [value for name, value in one.items() if name.startswith("gan_model_info")] == [1]
    for client in clients.values():
        client.close()
    (folder,) = temporary.glob(f"{PREFIX}*")
    assert folder.stat().st_mode & 0o077 == 0


def test_the_version_is_told_once(unharmed: tuple[Service, Path]) -> None:
    service, _ = unharmed
    clients = connect_to_each(service, children(service.process.pid))
    for client in clients.values():
        assert client.get("/openapi.json").json()["info"]["version"] == __version__
        assert_build_info(client.get("/metrics").text)
        client.close()


@pytest.mark.slow
def test_requests_under_way_are_one_sum(unharmed: tuple[Service, Path]) -> None:
    """The sum is the same whichever worker has the requests, and whichever is asked."""
    service, _ = unharmed
    clients = connect_to_each(service, children(service.process.pid))

    def told() -> set[float]:
        return {sums(client.get("/metrics").text)["gan_requests_in_progress"] for client in clients.values()}

    with held_requests(service.url, 8):
        wait_until(lambda: told() == {8}, "eight requests are told")
    wait_until(lambda: told() == {0}, "none is left")
    for client in clients.values():
        client.close()


def sums(text: str) -> dict[str, float]:
    """Return the metrics by name and labels, and those of images by name alone."""
    found = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            found[name.split("{")[0] if name.startswith("gan_images") else name] = float(value)
    return found


def test_a_worker_that_is_killed_is_replaced(service: Service) -> None:
    """The other workers go on, its counts are kept, and another worker takes its place."""
    workers = children(service.process.pid)
    clients = connect_to_each(service, workers)
    for client in clients.values():
        client.get("/v1/samples?n=5")
    wait_until(lambda: service.metric("gan_images_generated_total") == 10, "both have counted")
    killed, survivor = workers
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: is_gone(killed), "it is dead")
    for _ in range(20):
        assert httpx.get(f"{service.url}/v1/samples?n=1", timeout=60).status_code == 200
    assert clients[survivor].get("/v1/samples?n=1").status_code == 200
    for client in clients.values():
        client.close()

    wait_until(lambda: len(children(service.process.pid)) == 2, "another is started")
    (new,) = children(service.process.pid) - workers
    wait_until(lambda: is_listening(new, port_of(service)), "the other is ready")
    clients = connect_to_each(service, {survivor, new})
    clients[new].get("/v1/samples?n=3")
    for client in clients.values():
        wait_until(lambda: sums(client.get("/metrics").text)["gan_images_generated_total"] == 34, "all are counted")  # noqa: B023
        client.close()
    assert "ended by signal 9; another takes its place" in service.log.read_text()


def is_listening(process: int, port: int) -> bool:
    inodes = {
        f"socket:[{line.split()[9]}]"
        for line in Path(f"/proc/{process}/net/tcp").read_text().splitlines()[1:]
        if line.split()[3] == "0A" and int(line.split()[1].split(":")[1], 16) == port
    }
    for path in Path(f"/proc/{process}/fd").iterdir():
        with suppress(FileNotFoundError):  # the process has just closed it
            if str(path.readlink()) in inodes:
                return True
    return False


def replace_one(service: Service) -> None:
    """Kill one of two workers, and wait until another has its place."""
    workers = children(service.process.pid)
    os.kill(min(workers), signal.SIGKILL)
    wait_until(lambda: len(children(service.process.pid) - {min(workers)}) == 2, "another is started")
    (new,) = children(service.process.pid) - workers
    wait_until(lambda: is_listening(new, port_of(service)), "the other is ready")


@pytest.mark.slow
def test_a_full_temporary_folder_ends_no_worker(tmp_path: Path, tiny: Path, temporary: Path) -> None:
    """Nor does it keep a worker from being replaced."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "gan-test", str(temporary)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("only root can mount a small file system")
    try:
        with running(tmp_path, models_dir=tiny, workers=2) as service:
            with suppress(OSError), (temporary / "full").open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(2**12))
            for _ in range(2):
                for n in range(1, 40):
                    for form in ("png", "json", "npz", "zip"):
                        httpx.get(f"{service.url}/v1/samples?n={n}&format={form}", timeout=60).raise_for_status()
                assert httpx.get(f"{service.url}/v1/interpolations?seeds=1,2&format=gif").status_code == 200
                replace_one(service)
            assert httpx.get(f"{service.url}/metrics").status_code == 200
            assert service.metric("gan_http_requests_total") >= 300
    finally:
        subprocess.run(["umount", str(temporary)], check=True)


def test_without_room_for_metrics_no_worker_is_started(monkeypatch: pytest.MonkeyPatch, temporary: Path) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", refuse)
    monkeypatch.setattr("app.server.supervisor.configure", lambda *_: None)
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    with socket.socket() as reserved, pytest.raises(WorkersError, match=r"No space left on device; make room for 1281"):
        supervise(Settings(workers=2), reserved, ready=lambda: None)
    assert not list(temporary.iterdir())


@pytest.mark.slow
def test_a_folder_of_metrics_that_is_removed(service: Service, temporary: Path) -> None:
    """The service goes on and replaces its workers, and says that the sums are lost."""
    (folder,) = temporary.glob(f"{PREFIX}*")
    shutil.rmtree(folder)
    for _ in range(2):
        for _ in range(10):
            told = httpx.get(f"{service.url}/metrics", timeout=60)
            assert (told.status_code, told.json()["type"]) == (503, "urn:gan:problem:metrics-lost")
            assert httpx.get(f"{service.url}/v1/samples", timeout=60).status_code == 200
        replace_one(service)
    assert "Traceback" not in service.log.read_text()


@pytest.mark.slow
def test_a_worker_that_cannot_be_replaced_ends_no_other(tmp_path: Path, tiny: Path, temporary: Path) -> None:
    ends = "import os, sys\nif 'app.server.worker' in sys.orig_argv and os.path.exists('ends'):\n    os._exit(9)\n"
    (tmp_path / "sitecustomize.py").write_text(ends)
    with running(tmp_path, python_path=tmp_path, models_dir=tiny, workers=2) as service:
        (tmp_path / "ends").touch()
        os.kill(min(children(service.process.pid)), signal.SIGKILL)
        wait_until(lambda: "the others go on" in service.log.read_text(), "it is told")
        assert httpx.get(f"{service.url}/v1/samples", timeout=60).status_code == 200
        (tmp_path / "ends").unlink()
        wait_until(lambda: len(children(service.process.pid)) == 2, "another is started")
    assert service.process.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_all_end_when_told_to(service: Service, temporary: Path, number: signal.Signals) -> None:
    """They end in order: an answer that has begun is completed."""
    workers = children(service.process.pid)
    with httpx.stream("GET", f"{service.url}/v1/samples?n=20000&format=npz", timeout=DEADLINE_S) as response:
        service.process.send_signal(number)
        content = response.read()
    assert len(np.load(io.BytesIO(content))["images"]) == 20_000
    assert service.process.wait(timeout=DEADLINE_S) == 0
    assert all(is_gone(worker) for worker in workers)
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{service.url}/healthz")
    assert "Traceback" not in service.log.read_text()
    assert service.process.stdout is not None
    assert service.process.stdout.read() == ""  # the address was printed once
    assert not list(temporary.iterdir())


@pytest.mark.slow
def test_workers_end_with_their_parent(service: Service, temporary: Path) -> None:
    workers = children(service.process.pid)
    service.process.kill()
    wait_until(lambda: all(is_gone(worker) for worker in workers), "the workers have ended")
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{service.url}/healthz")
    assert not list(temporary.iterdir())


@pytest.mark.slow
def test_workers_that_cannot_start_end_the_service(tmp_path: Path, tiny: Path, temporary: Path) -> None:
    ends = "import os, sys\nif 'app.server.worker' in sys.orig_argv:\n    os._exit(9)\n"
    (tmp_path / "sitecustomize.py").write_text(ends)
    ended = start_and_fail(tmp_path, port=0, workers=2, models_dir=tiny)
    assert ended.returncode == 1
    assert f"ended {MAX_FAILED_STARTS} times before it was ready, the last time with exit code 9" in ended.stderr
    assert ended.stdout == ""
    assert not list(temporary.iterdir())


@pytest.mark.slow
def test_a_port_that_is_taken(tmp_path: Path, unharmed: tuple[Service, Path]) -> None:
    """The port is taken by a service of the same user, or by another program."""
    service, _ = unharmed
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        for port in (port_of(service), taken.getsockname()[1]):
            ended = start_and_fail(tmp_path, port=port, workers=2)
            assert ended.returncode == 1
            assert ended.stderr.startswith("error: cannot listen on 127.0.0.1:")


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_port_of_a_service_that_still_starts(tmp_path: Path, free_port: int, workers: int) -> None:
    """A service that still loads its models does not listen yet, and has the port nevertheless."""
    with reserve("127.0.0.1", free_port) as reserved, listen_beside(reserved):
        ended = start_and_fail(tmp_path, port=free_port, workers=workers)
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"error: cannot listen on 127.0.0.1:{free_port}: ")
    assert "Traceback" not in ended.stderr


def test_one_service_alone_has_an_address(free_port: int) -> None:
    """Nobody else gets it before its sockets listen, meanwhile or after; the next service gets it at once."""
    with reserve("127.0.0.1", free_port) as reserved:
        with listen_beside(reserved) as one, listen_beside(reserved) as other:
            refuse_all(free_port)
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", free_port))
            for listener in (one, other):
                listener.listen()
            refuse_all(free_port)
            client = socket.create_connection(("127.0.0.1", free_port), timeout=60)
            ready, _, _ = select.select([one, other], [], [], 60)
            ready[0].accept()[0].close()  # the server's end closes first, and lingers in TIME_WAIT
            client.close()
        refuse_all(free_port)
    with reserve("127.0.0.1", free_port) as reserved, listen_beside(reserved) as listener:
        listener.listen()


def refuse_all(port: int) -> None:
    for host in ("127.0.0.1", "0.0.0.0"):  # noqa: S104  (it is refused)
        with pytest.raises(OSError, match="in use"), reserve(host, port):
            pass


def test_one_worker_is_one_process(tmp_path: Path, tiny: Path, temporary: Path) -> None:
    with running(tmp_path, models_dir=tiny, workers=1) as service:
        assert children(service.process.pid) == set()
        assert not list(temporary.iterdir())


@pytest.mark.parametrize(("workers", "system"), [(0, "linux"), (65, "linux"), (2, "darwin"), (2, "win32")])
def test_numbers_of_workers_that_are_refused(workers: int, system: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", system)
    with pytest.raises(ValidationError, match="workers"):
        Settings(workers=workers)


@pytest.mark.parametrize("workers", [1, 2, 64])
def test_numbers_of_workers_that_are_taken(workers: int) -> None:
    assert Settings(workers=workers).workers == workers


def test_folders_of_dead_services_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with shared_folder() as first:
        (first / "counter_0.db").touch()
        dead = Path(shutil.copytree(first, tmp_path / f"{PREFIX}dead"))
        other = Path(shutil.copytree(first, tmp_path / "others"))
        with shared_folder() as second:
            assert first != second
            assert (first / "counter_0.db").exists()
            assert other.exists()
            assert not dead.exists()
        assert not second.exists()
    assert not first.exists()
