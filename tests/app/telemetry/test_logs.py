"""The log as text and as JSON: each event is one line, whatever it contains."""

import json
import logging
import re
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from app.telemetry.access_record import AccessLine
from app.telemetry.line_handler import LineHandler, handle_together
from app.telemetry.logs import JsonFormatter, TextFormatter
from app.telemetry.request_ids import RequestId, current

HOSTILE = 'a\nERROR fake: {"x": 1}\r\x1b[31m\u2028\x00'


def record(
    message: str, *arguments: object, error: bool = False, level: int = logging.WARNING, **extra: Any
) -> logging.LogRecord:
    info = None
    if error:
        try:
            raise ValueError("two\nlines")
        except ValueError:
            info = sys.exc_info()
    made = logging.LogRecord("app.x", level, "x.py", 1, message, arguments, info)
    made.__dict__.update(extra)
    return made


def parsed(formatter: logging.Formatter, made: logging.LogRecord) -> dict[str, Any]:
    line = formatter.format(made)
    assert len(line.splitlines()) == 1
    found: dict[str, Any] = json.loads(line)
    return found


def test_json() -> None:
    found = parsed(JsonFormatter(worker=3), record("%d %s", 1, "ä\n"))
    assert (found["level"], found["logger"], found["message"], found["worker"]) == ("warning", "app.x", "1 ä", 3)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", found["time"])
    assert set(found) == {"time", "level", "logger", "message", "pid", "worker"}


def test_json_of_an_error() -> None:
    found = parsed(JsonFormatter(), record("it broke", error=True))
    assert found["message"] == "it broke"
    assert found["error"].startswith("Traceback")
    assert found["error"].endswith("ValueError: two\nlines")
    assert "worker" not in found


def test_time_is_utc_and_the_milliseconds_are_its_own() -> None:
    assert parsed(JsonFormatter(), record("x", created=86400.25, msecs=250.0))["time"] == "1970-01-02T00:00:00.250Z"


@pytest.mark.parametrize("message", [HOSTILE, "\ud800"])
def test_nobody_can_forge_a_line(message: str) -> None:
    assert parsed(JsonFormatter(), record("at %s", message))["message"] == f"at {message}".strip()
    text = TextFormatter().format(record("at %s", message))
    assert text.startswith("WARNING app.x: at ")
    assert len(text.splitlines()) == 1
    assert not [character for character in text if ord(character) < 32 or ord(character) == 127]


def test_text() -> None:
    assert TextFormatter().format(record("%d − %s", 1, "ä")) == "WARNING app.x: 1 − ä"
    lines = TextFormatter().format(record("it broke", error=True, request=RequestId("an-id"))).splitlines()
    assert lines[0] == "WARNING app.x: it broke [request an-id]"
    assert lines[1].startswith("Traceback")


def test_the_request_that_is_being_answered() -> None:
    token = current.set(RequestId("an-id", trace_id="4b", span_id="5c"))
    try:
        found = parsed(JsonFormatter(), record("x", fields={"status": 200}))
    finally:
        current.reset(token)
    assert (found["request_id"], found["trace_id"], found["span_id"], found["status"]) == ("an-id", "4b", "5c", 200)
    assert "request_id" not in parsed(JsonFormatter(), record("x"))


@pytest.mark.parametrize("worker", [None, 3])
@pytest.mark.parametrize(
    "request_id",
    [RequestId("r"), RequestId("r", trace_id="a" * 32), RequestId("r", trace_id="a" * 32, span_id="b" * 16)],
)
@pytest.mark.parametrize("text", ["/v1/samples", HOSTILE, 'ä"\\\ud800'])
def test_a_line_of_the_access_log_is_that_of_its_record(worker: int | None, request_id: RequestId, text: str) -> None:
    """`format_access` writes the same line as `format`, even where milliseconds are rounded."""
    for ended in (86400.25, 1796000000.001, 1796000000.9999):
        line = AccessLine(request_id, ended, "GET", text, text, 200, 314, 0.001, "127.0.0.1")
        for formatter in (JsonFormatter(worker), TextFormatter()):
            assert formatter.format_access(line) == formatter.format(line.record())


def access(path: str) -> AccessLine:
    return AccessLine(RequestId("r"), 0.0, "GET", path, path, 200, 1, 1.0, "c")


def handler_that_writes_to(written: list[str], form: logging.Formatter) -> LineHandler:
    handler = LineHandler()
    handler.setStream(SimpleNamespace(write=written.append, flush=lambda: None))  # type: ignore[arg-type]
    handler.setFormatter(form)
    return handler


def logger_with(*handlers: logging.Handler) -> logging.Logger:
    parent = logging.getLogger("test_logs")
    parent.handlers, parent.propagate = list(handlers), False
    return logging.getLogger("test_logs.child")


def test_lines_that_are_handled_together_are_written_at_once() -> None:
    written: list[str] = []
    handle_together(logger_with(handler_that_writes_to(written, TextFormatter())), [access("/a"), access("/b")])
    prefix = "INFO app.middleware.access_log: GET "
    assert written == [
        f"{prefix}/a 200, 1 bytes in 1 ms to c [request r]\n{prefix}/b 200, 1 bytes in 1 ms to c [request r]\n"
    ]


def test_every_handler_gets_what_is_handled_together() -> None:
    written: list[str] = []
    seen: list[logging.LogRecord] = []
    handler = handler_that_writes_to(written, logging.Formatter("%(route)s %(name)s %(status)d"))
    other, deaf = logging.Handler(), handler_that_writes_to(written, TextFormatter())
    deaf.setLevel(logging.ERROR)
    other.emit = seen.append  # type: ignore[assignment, method-assign]
    handle_together(logger_with(handler, other, deaf), [access("/a"), access("/b")])
    assert "".join(written) == "/a app.middleware.access_log 200\n/b app.middleware.access_log 200\n"
    assert [record.getMessage() for record in seen] == [
        f"GET {path} 200, 1 bytes in 1 ms to c" for path in ("/a", "/b")
    ]


def test_filters_hold_for_what_is_handled_together() -> None:
    """Filters of the logger and of a handler apply, though the lines are otherwise written without records."""
    for of_logger in (True, False):
        written: list[str] = []
        handler = handler_that_writes_to(written, TextFormatter())
        logger = logger_with(handler)
        filtered: logging.Filterer = logger if of_logger else handler
        filtered.addFilter(lambda record: record.getMessage().startswith("GET /b"))
        handle_together(logger, [access("/a"), access("/b")])
        filtered.filters.clear()
        assert ["GET /b" in text and "GET /a" not in text for text in written] == [True]


def test_a_line_that_cannot_be_written_ends_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    def broken(text: str) -> None:
        raise BrokenPipeError("gone")

    handler = LineHandler()
    handler.setStream(SimpleNamespace(write=broken, flush=lambda: None))  # type: ignore[arg-type]

    handler.setFormatter(TextFormatter())
    handler.handle_access([access("/")])
    handler.handle(record("two", level=logging.ERROR))
    assert capsys.readouterr().err.count("BrokenPipeError: gone") == 2
