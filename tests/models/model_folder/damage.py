"""Functions that damage a model folder. Each takes the folder's path, or returns a function that does."""

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from tests.models.support import with_tensors

WEIGHT = "generator.0.weight"


def header_of(data: bytes) -> tuple[dict[str, Any], bytes]:
    """Return a safetensors file's header, and the bytes after it."""
    (length,) = struct.unpack_from("<Q", data)
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def with_header(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the header of a safetensors file."""
    header, body = header_of(path.read_bytes())
    change(header)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)


def delete(*names: str) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        for name in names:
            (path / name).unlink()

    return damage


def write(name: str, data: bytes) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        (path / name).write_bytes(data)

    return damage


def metadata_entry(name: str, value: str | None) -> Callable[[Path], None]:
    """Change an entry of the metadata; None removes it."""

    def change(header: dict[str, Any]) -> None:
        if value is None:
            del header["__metadata__"][name]
        else:
            header["__metadata__"][name] = value

    return lambda path: with_header(path / "model.safetensors", change)


def no_metadata(path: Path) -> None:
    with_header(path / "model.safetensors", lambda header: header.pop("__metadata__"))


def tensor(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], None]:
    return lambda path: with_tensors(path / "model.safetensors", change)


def link_out(path: Path) -> None:
    outside = path.parent / "outside"
    (path / "model.safetensors").rename(outside)
    (path / "model.safetensors").symlink_to(outside)


def link_timeline_out(path: Path) -> None:
    (path.parent / "secret.png").write_bytes((path / "timeline" / "00000.png").read_bytes())
    (path / "timeline" / "00009.png").symlink_to(path.parent / "secret.png")


def link_history_out(path: Path) -> None:
    (path / "history.json").rename(path.parent / "outside.json")
    (path / "history.json").symlink_to("../outside.json")


def link_whole_timeline_out(path: Path) -> None:
    (path / "timeline").rename(path.parent / "pictures")
    (path / "timeline").symlink_to(path.parent / "pictures")


def links_to_itself(name: str) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        (path / name).unlink()
        (path / name).symlink_to(path / name)

    return damage


def is_a_folder(name: str) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        (path / name).unlink()
        (path / name).mkdir()

    return damage


def is_a_pipe(name: str) -> Callable[[Path], None]:
    """Replace a file by a pipe, which would block a reader for ever."""

    def damage(path: Path) -> None:
        (path / name).unlink()
        os.mkfifo(path / name)

    return damage


def append(name: str, data: bytes) -> Callable[[Path], None]:
    return lambda path: write(name, (path / name).read_bytes() + data)(path)


def tensor_entry(field: str, value: object, **more: object) -> Callable[[Path], None]:
    """Change a tensor's entry in the header."""
    changed = {field: value} | more
    return lambda path: with_header(path / "model.safetensors", lambda header: header[WEIGHT].update(changed))


def metadata_is(value: object) -> Callable[[Path], None]:
    return lambda path: with_header(path / "model.safetensors", lambda header: header.update(__metadata__=value))


def half_infinity(path: Path) -> None:
    tensor(lambda tensors: tensors.update({WEIGHT: torch.full((12, 8), 1e6).half()}))(path)


def epoch_record(field: str, json_value: str) -> Callable[[Path], None]:
    """Change a field of the history's first record."""

    def damage(path: Path) -> None:
        history = json.loads((path / "history.json").read_text())
        history["epochs"][0][field] = "HERE"
        (path / "history.json").write_text(json.dumps(history).replace('"HERE"', json_value))

    return damage


def spoil(name: str, value: float) -> Callable[[Path], None]:
    return tensor(lambda tensors: tensors[name].view(-1)[3:4].fill_(value))
