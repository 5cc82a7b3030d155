"""The log of uvicorn's loggers and ours: lines for people, or one JSON object a line for machines."""

import json
import logging
import os
import time
from functools import lru_cache
from json.encoder import encode_basestring_ascii
from typing import Any, Literal, TypeAlias

from app.telemetry.access_record import AccessRecord
from app.telemetry.line_handler import LineHandler
from app.telemetry.request_ids import RequestId, current

LogFormat: TypeAlias = Literal["text", "json"]

_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160), 0x2028, 0x2029)}


def configure(level: str, form: LogFormat, *, worker: int | None = None) -> None:
    """Send everything that is logged in this process to its standard error.

    Args:
        level: the lowest level that is logged.
        form: the form of each line.
        worker: the number of this process, if it is one of several.
    """
    handler = LineHandler()
    handler.setFormatter(JsonFormatter(worker) if form == "json" else TextFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(form == "json")


class TextFormatter(logging.Formatter):
    """`LEVEL logger: message [request id]`, and a traceback on the lines below.

    A message stays on one line: control characters, which a client may have sent, are escaped.
    """

    def format(self, record: logging.LogRecord) -> str:
        """One record."""
        request = _request_of(record)
        id_text = "" if request is None else f" [request {request.text}]"
        line = f"{record.levelname} {record.name}: {_message_of(record).translate(_CONTROLS)}{id_text}"
        return f"{line}\n{error}" if (error := _error_of(self, record)) else line


class JsonFormatter(logging.Formatter):
    """One JSON object a line.

    Each object has `time` (RFC 3339, UTC), `level`, `logger`, `message` and `pid`. It has `worker`, `request_id`,
    `trace_id`, `span_id` and `error` (a traceback) if they are known, and the entries of the record's `fields`.

    Args:
        worker: the number of this process, if it is one of several.
    """

    def __init__(self, worker: int | None = None) -> None:
        super().__init__()
        self._worker = worker
        self._worker_text = "" if worker is None else f', "worker": {worker}'
        self._pid = os.getpid()

    def format(self, record: logging.LogRecord) -> str:
        """One record."""
        if type(record) is AccessRecord:
            return self._access(record)
        request = _request_of(record)
        found: dict[str, Any] = {
            "time": _time_of(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message_of(record),
            "pid": self._pid,
            "worker": self._worker,
        }
        if request is not None:
            found |= {"request_id": request.text, "trace_id": request.trace_id, "span_id": request.span_id}
        found |= getattr(record, "fields", {})
        found["error"] = _error_of(self, record) or None
        return json.dumps({name: value for name, value in found.items() if value is not None})

    def _access(self, record: AccessRecord) -> str:
        """The same line of a record of the access log, three times as quickly: its fields and their types are known."""
        request, quote = record.request, encode_basestring_ascii
        trace = f', "trace_id": "{request.trace_id}"' if request.trace_id is not None else ""
        span = f', "span_id": "{request.span_id}"' if request.span_id is not None else ""
        return (
            f'{{"time": "{_time_of(record)}", "level": "info", "logger": "{record.name}", '
            f'"message": {quote(_message_of(record))}, "pid": {self._pid}{self._worker_text}, '
            f'"request_id": "{request.text}"{trace}{span}, "method": {quote(record.method)}, '
            f'"route": {quote(record.route)}, "path": {quote(record.path)}, "status": {record.status}, '
            f'"milliseconds": {record.milliseconds!r}, "bytes": {record.sent}, "client": {quote(record.client)}}}'
        )


def _time_of(record: logging.LogRecord) -> str:
    return f"{_second(int(record.created))}.{int(record.msecs):03d}Z"


@lru_cache(maxsize=2)
def _second(seconds: int) -> str:
    """A time since the epoch as RFC 3339 writes it, in UTC, without a fraction and a zone."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def _request_of(record: logging.LogRecord) -> RequestId | None:
    """The request that a record names, or else the one that this task answers."""
    request: RequestId | None = getattr(record, "request", None)
    return request or current.get()


def _message_of(record: logging.LogRecord) -> str:
    return record.getMessage().strip()


def _error_of(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    """The traceback of a record, and its stack if the record has one; else an empty text."""
    parts = []
    if record.exc_info:
        parts.append(formatter.formatException(record.exc_info))
    if record.stack_info:
        parts.append(formatter.formatStack(record.stack_info))
    return "\n".join(parts)
