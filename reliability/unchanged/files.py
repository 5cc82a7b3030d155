"""Files that training writes, without what depends on the clock and on the machine's load."""

import re
import struct
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # type: ignore[import-untyped]

_SECONDS = re.compile(rb'(\\?"seconds\\?": ?)[-+.\deE]+')
_LOG_LINE = re.compile(rb"(?m)^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ")
_RATE = re.compile(rb"[\d,]+ images/s  [\d,]+ s\b")
_TOTAL = re.compile(rb"(images, )[\d,]+ s\b")
_MINUTES = re.compile(rb"[\d,]+ minutes")
_REPORT_DATE = re.compile(rb"<time .*?</time>")
_REPORT_SECONDS = re.compile(rb"(the evaluation took )[\d,]+ s")


def folder_outcome(folder: Path, name: str, *, leave_out: tuple[str, ...] = ()) -> dict[str, bytes]:
    """Return every file of a folder, by its path below `name`, with TensorBoard's figures in place of its files.

    Args:
        folder: the folder of a run, a model or shards.
        name: the name of the folder in the table.
        leave_out: names of files that are not compared.
    """
    found = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if path.parent.name == "tensorboard":
            found[f"{name}/tensorboard"] = _figures(path.parent)
        elif path.name not in leave_out:
            found[f"{name}/{path.relative_to(folder)}"] = without_times(path.name, path.read_bytes())
    return found


def without_times(name: str, data: bytes) -> bytes:
    """Return the content of a file with dates and durations replaced."""
    if name.endswith(".safetensors"):
        return _safetensors_without_seconds(data)
    if name.endswith((".json", ".jsonl")):
        return _SECONDS.sub(rb"\1TIME", data)
    if name == "log.txt":
        return said_without_times(_LOG_LINE.sub(b"TIME ", data))
    if name.endswith(".md"):
        return _MINUTES.sub(b"TIME", data)
    if name.endswith(".html"):
        return _REPORT_SECONDS.sub(rb"\1TIME", _REPORT_DATE.sub(b"TIME", data))
    return data


def said_without_times(text: bytes) -> bytes:
    """Return the lines that a run prints, with rates and durations replaced."""
    return _TOTAL.sub(rb"\1TIME", _RATE.sub(b"TIME", text))


def _safetensors_without_seconds(data: bytes) -> bytes:
    """Return a safetensors file without its length prefix and padding, which depend on the digits of the seconds."""
    (length,) = struct.unpack("<Q", data[:8])
    return _SECONDS.sub(rb"\1TIME", data[8 : 8 + length].rstrip(b" ")) + data[8 + length :]


def _figures(folder: Path) -> bytes:
    """Return the figures in TensorBoard's files; the files themselves hold the times at which they were written."""
    events = EventAccumulator(str(folder))
    events.Reload()
    lines = [f"{tag} {event.step} {event.value!r}" for tag in events.Tags()["scalars"] for event in events.Scalars(tag)]
    return "\n".join(lines).encode()
