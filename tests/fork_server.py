"""A process that has imported the packages of others, and forks itself for each `python -m MODULE` that is asked for.

`tests.preloaded` starts it, and says what it makes easier. Standard input is a Unix socket. Each message on it is one
order, with three descriptors: standard output, standard error, and a socket that takes the identifier of the new
process at once and its exit code at the end, as one line each. The server ends when the socket is closed.
"""

import contextlib
import json
import os
import runpy
import signal
import socket
import sys
import tempfile
import time
from dataclasses import dataclass, field
from importlib import import_module
from selectors import EVENT_READ, DefaultSelector

MAX_ORDER_BYTES = 1 << 20


@dataclass(frozen=True)
class Order:
    """A command `python -m module arguments`, with its environment and working folder."""

    module: str
    arguments: list[str]
    environment: dict[str, str]
    cwd: str


@dataclass
class Server:
    """The orders that come in, and the processes that have not ended.

    Attributes:
        orders: the socket that orders come from.
        selector: wakes up for an order, and for the end of a process.
        running: the identifier of each process, and the socket that takes its exit code, by pidfd.
    """

    orders: socket.socket
    selector: DefaultSelector = field(default_factory=DefaultSelector)
    running: dict[int, tuple[int, socket.socket]] = field(default_factory=dict)

    def serve(self) -> Order | None:
        """Fork for each order. Return the order in the new process, and None in the server, after the last one."""
        self.selector.register(self.orders, EVENT_READ)
        while True:
            for key, _ in self.selector.select():
                if key.fileobj is not self.orders:
                    self._report_end(key.fd)
                    continue
                data, descriptors, _, _ = socket.recv_fds(self.orders, MAX_ORDER_BYTES, 3)
                if not data:
                    self._end_all()
                    return None
                if self._fork(descriptors):
                    return Order(**json.loads(data))

    def _fork(self, descriptors: list[int]) -> bool:
        out, err, reports = descriptors
        pid = os.fork()
        if pid == 0:
            self.selector.close()
            for _, others in self.running.values():
                others.close()
            self.orders.close()
            nothing = os.open(os.devnull, os.O_RDONLY)
            os.dup2(nothing, 0)
            os.dup2(out, 1)
            os.dup2(err, 2)
            for descriptor in (nothing, *descriptors, *self.running):
                os.close(descriptor)
            return True
        os.close(out)
        os.close(err)
        told = socket.socket(fileno=reports)
        _tell(told, pid)
        watched = os.pidfd_open(pid)
        self.running[watched] = (pid, told)
        self.selector.register(watched, EVENT_READ)
        return False

    def _report_end(self, watched: int) -> None:
        pid, told = self.running.pop(watched)
        self.selector.unregister(watched)
        os.close(watched)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        with told:
            _tell(told, code)

    def _end_all(self) -> None:
        for watched, (pid, _) in list(self.running.items()):
            os.kill(pid, signal.SIGTERM)
            self._report_end(watched)


def _tell(reports: socket.socket, number: int) -> None:
    """Report a number, unless nobody waits for it any more: the tests may end while a process starts."""
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        reports.sendall(b"%d\n" % number)


def become(order: Order) -> None:
    """Run the module of an order in this process, in its folder and environment, as `python -m` does."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(order.cwd)
    os.environ.clear()
    os.environ.update(order.environment)
    time.tzset()
    tempfile.tempdir = None
    sys.path[0] = order.cwd
    del sys.modules["tests"]
    sys.argv[1:] = order.arguments
    runpy.run_module(order.module, run_name="__main__", alter_sys=True)


def main() -> None:
    """Import the modules that the command line names, then take orders."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the processes; the server ends with its socket
    for module in sys.argv[1:]:
        import_module(module)
    order = Server(socket.socket(fileno=os.dup(0))).serve()
    if order is not None:
        become(order)


if __name__ == "__main__":
    main()
