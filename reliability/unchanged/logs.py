"""A service's log and counters, without what depends on the clock, on chance or on the names of modules."""

import json
import re

from reliability.unchanged.http_cases import DRAWN, hide_random_id

_DROPPED = ("time", "pid", "milliseconds", "span_id")
_MILLISECONDS = re.compile(r" in [-+.\de]+ ms")
_ADDRESS = re.compile(r"(127\.0\.0\.1):\d+")
_PROCESS = re.compile(r"process \[\d+\]")
_BYTES = re.compile(r", \d+ bytes")
_LOGGER = re.compile(r"^([A-Z]+ \w+)[.\w]*:")
_WARNED = re.compile(r"\S+\.py:\d+: (\w+: [^\n]*)\n  [^\n]*")
_REQUEST = re.compile(r"\[request ([^\]]*)\]$")

_TIMED = re.compile(r"^(gan_\w*seconds_(sum|bucket)|\w+_created|process_\w+|gan_engine_batch_rows\w*|gan_\w*progress)$")
"""Numbers that depend on the clock; only their names and labels are compared."""


def canonical_log(text: str) -> bytes:
    """Return the lines of a log, sorted: the line of a file's answer may come before or after that of the next answer.

    Only the package of a logger's name is kept, and only the text of a warning, not its place in the code.
    """
    lines = _WARNED.sub(r"WARNED \1", text).splitlines()
    return "\n".join(sorted(_json_line(line) if line.startswith("{") else _text_line(line) for line in lines)).encode()


def canonical_metrics(text: str) -> dict[str, bytes]:
    """Return the lines of `/metrics` by the name that they begin with."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        words = line.split(" ")
        name = words[2] if line.startswith("#") else line.partition("{")[0].partition(" ")[0]
        kept = line.rpartition(" ")[0] if not line.startswith("#") and _TIMED.match(name) else line
        found.setdefault(f"metrics {name}", []).append(kept)
    return {name: "\n".join(sorted(lines)).encode() for name, lines in found.items()}


def _json_line(line: str) -> str:
    record = json.loads(line)
    is_drawn = record.get("request_id") == DRAWN
    for name in (*_DROPPED, *(["bytes"] if is_drawn else [])):
        record.pop(name, None)
    record["logger"] = record["logger"].partition(".")[0]
    if "request_id" in record:
        record["request_id"] = hide_random_id(record["request_id"])
    record["message"] = _message(_WARNED.sub(r"WARNED \1", record["message"]), is_drawn=is_drawn)
    return json.dumps(record)


def _text_line(line: str) -> str:
    line = _REQUEST.sub(lambda found: f"[request {hide_random_id(found[1])}]", line)
    return _message(_LOGGER.sub(r"\1:", line), is_drawn=line.endswith(f"[request {DRAWN}]"))


def _message(text: str, *, is_drawn: bool) -> str:
    text = _PROCESS.sub("process [PID]", _ADDRESS.sub(r"\1:PORT", _MILLISECONDS.sub(" in TIME", text)))
    return _BYTES.sub(", N bytes", text) if is_drawn else text
