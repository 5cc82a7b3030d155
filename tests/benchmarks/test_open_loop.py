"""The client at a constant rate, against servers that do as a test needs."""

import socketserver
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from benchmarks.load import open_loop
from benchmarks.load.open_loop import run

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes"
GONE = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"


@contextmanager
def server(answer: Callable[[str], bytes]) -> Iterator[int]:
    """A server on a port; it answers a target with these bytes, and breaks off after none."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while line := self.rfile.readline():
                while self.rfile.readline().strip():
                    pass
                data = answer(line.decode().split()[1])
                if not data:
                    return
                self.wfile.write(data)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as listening:
        listening.daemon_threads = True
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield listening.server_address[1]
        listening.shutdown()
        thread.join()


def test_each_request_is_sent_once_with_its_own_seed() -> None:
    targets: list[str] = []

    def answer(target: str) -> bytes:
        targets.append(target)
        return OK

    with server(answer) as port:
        outcome = run(port, "/samples?n=1&seed=SEED", rate=400, seconds=0.1, connections=3)
    assert sorted(targets) == sorted(f"/samples?n=1&seed={k}" for k in range(1, 41))
    assert (outcome.asked, outcome.errors) == (400, 0)
    assert 0 < outcome.achieved <= 400
    assert 0 < outcome.p50_ms <= outcome.p99_ms


def test_requests_that_waited_for_a_slow_one_count_from_when_they_were_due(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(late_s=0.3)
    monkeypatch.setattr("time.perf_counter", clock)

    def answer(target: str) -> bytes:
        if target == "/1":
            clock.is_late.wait()
        return OK

    with server(answer) as port:
        outcome = run(port, "/SEED", rate=100, seconds=0.2, connections=1)
    assert outcome.errors == 0
    assert outcome.p50_ms > 190, "the middle one was due at 0.1 s, and the first was answered at 0.3 s"


class Clock:
    """A clock that goes on by 10 µs whenever it is read."""

    def __init__(self, *, late_s: float) -> None:
        self._now_s, self._late_s, self.is_late = 0.0, late_s, threading.Event()

    def __call__(self) -> float:
        self._now_s += 1e-5
        if self._now_s > self._late_s:
            self.is_late.set()
        return self._now_s


@pytest.mark.parametrize("failure", [GONE, b""], ids=["a status that is not 200", "broken off"])
def test_failures_are_counted(failure: bytes) -> None:
    with server(lambda target: failure if target == "/3" else OK) as port:
        assert run(port, "/SEED", rate=1000, seconds=0.01, connections=2).errors == 1


def test_requests_without_an_answer_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_loop, "DRAIN_S", 0.1)
    never = threading.Event()

    def answer(target: str) -> bytes:
        never.wait()
        return OK

    with server(answer) as port:
        outcome = run(port, "/SEED", rate=1000, seconds=0.01, connections=2)
        never.set()
    assert (outcome.errors, outcome.achieved) == (10, 0)


def test_answers_may_come_in_pieces() -> None:
    long = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + bytes(1_000_000)
    with server(lambda target: long) as port:
        assert run(port, "/SEED", rate=100, seconds=0.05, connections=2).errors == 0


def test_the_client_needs_nothing_heavy() -> None:
    """A collection of PyTorch's many objects would stop the clock of the requests that are due."""
    code = "import benchmarks.load.open_loop, sys; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
