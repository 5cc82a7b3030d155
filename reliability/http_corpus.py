"""Bytes on raw sockets, judged by h11: `python -m reliability.http_corpus`.

Each case is sent to a real service on a connection of its own, whose sending side the client then ends. The answers
must be those that h11's reading of the same bytes calls for, the connection must end within 10 s, and an answer to
HTTP/1.0 must have neither chunks nor an interim response.
"""

import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from harness.pinned_services import started
from harness.report import describe_machine
from harness.service_specs import ours
from models import bundled_models_dir
from reliability.hostile.http_judge import RawAnswer, expected, read_answers
from reliability.hostile.http_requests import RawRequest, cases

TIMEOUT_S = 10
PAUSE_S = 0.02
CLIENTS = 8


def main() -> int:
    """Send each case, and print those that were answered otherwise; 1 if there are any."""
    asked = list(cases())
    with started(ours(bundled_models_dir(), "mnist-mlp")) as running, ThreadPoolExecutor(CLIENTS) as pool:
        wrong = [text for text in pool.map(lambda case: check(running.port, case), asked) if text]
    print("\n".join(wrong))
    print(f"{describe_machine()}: {len(asked)} cases, {len(wrong)} answered otherwise")
    return 1 if wrong else 0


def check(port: int, case: RawRequest) -> str:
    """Send a case, and compare its answers.

    Args:
        port: the service's port, on this machine.
        case: the bytes to send.

    Returns:
        What was wrong; "" if nothing was.
    """
    wanted = expected(case)
    try:
        answers = exchange(port, case)
    except (OSError, ValueError) as error:
        return f"{case.name}: {error}, wanted {wanted}"
    got = [answer.status for answer in answers]
    if got != wanted:
        return f"{case.name}: {got}, wanted {wanted}"
    return ""


def exchange(port: int, case: RawRequest) -> list[RawAnswer]:
    """Send a case and read what comes back until the connection ends.

    Raises:
        OSError: the service does not end the connection in time, or resets it.
        ValueError: the bytes that came back are not a sequence of answers.
    """
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S) as connection:
        for number, segment in enumerate(case.segments):
            if number:
                time.sleep(PAUSE_S)
            with suppress(ConnectionError):  # it may have been ended, by the answer to what came before
                connection.sendall(segment)
        with suppress(OSError):
            connection.shutdown(socket.SHUT_WR)
        parts = []
        while part := connection.recv(65536):
            parts.append(part)
    data = b"".join(parts)
    is_old = b" HTTP/1.0\r\n" in case.segments[0]
    if is_old and (b"transfer-encoding" in data or data.startswith(b"HTTP/1.1 100")):
        raise ValueError("chunks or 100 Continue for HTTP/1.0")
    return read_answers(data, [line.split(b" ")[0] for line in case.data.split(b"\r\n") if b" HTTP/1." in line])


if __name__ == "__main__":
    sys.exit(main())
