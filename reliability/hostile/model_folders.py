"""Damage to model folders, and the message that the service must give for each.

damage, message = DAMAGES["weights empty"]
damage(folder)
"""

import hashlib
import json
import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from harness.tiny_models import make_tiny_model_folder, tiny_png

Damage = Callable[[Path], object]

WEIGHTS = "model.safetensors"
WEIGHT = "generator.0.weight"


def header(change: Callable[[dict[str, Any]], object]) -> Damage:
    """Change the header of the weights."""

    def damage(path: Path) -> None:
        data = (path / WEIGHTS).read_bytes()
        (length,) = struct.unpack_from("<Q", data)
        described = json.loads(data[8 : 8 + length])
        change(described)
        text = json.dumps(described).encode()
        (path / WEIGHTS).write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])

    return damage


def metadata(name: str, value: str) -> Damage:
    """Change an entry of the metadata."""
    return header(lambda described: described["__metadata__"].update({name: value}))


def tensors(change: Callable[[dict[str, torch.Tensor]], object]) -> Damage:
    """Change the tensors."""

    def damage(path: Path) -> None:
        with safe_open(path / WEIGHTS, framework="pt") as file:
            described = file.metadata()
            of = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
        change(of)
        save_file(of, path / WEIGHTS, described)

    return damage


def text(name: str, data: bytes | Callable[[bytes], bytes]) -> Damage:
    """Write other bytes into a file, or bytes that are made from its own."""

    def damage(path: Path) -> None:
        file = path / name
        file.write_bytes(data(file.read_bytes()) if callable(data) else data)

    return damage


def instead(name: str, make: Callable[[Path], object]) -> Damage:
    """Put something else in place of a file or a folder."""

    def damage(path: Path) -> None:
        (path / name).rename(path.parent.parent / f"{path.parent.parent.name}-{path.name}-{name.replace('/', '-')}")
        make(path / name)

    return damage


def link_to(target: str) -> Callable[[Path], object]:
    """Make a symbolic link."""
    return lambda path: path.symlink_to(target)


def sparse(size: int) -> Callable[[Path], object]:
    """Make a sparse file of `size` bytes, which needs no room on the disk."""

    def make(path: Path) -> None:
        path.touch()
        os.truncate(path, size)

    return make


def link_to_secret(path: Path) -> None:
    """Make a link to a PNG outside of the folder."""
    secret = path.parents[2] / "secret.png"
    secret.write_bytes(tiny_png(1) + b"secret")
    path.symlink_to(secret)


def overlapping(described: dict[str, Any]) -> None:
    """Let two tensors of the same size have the same bytes."""
    described["generator.1.bias"]["data_offsets"] = described["generator.1.weight"]["data_offsets"]


def record(n: int) -> bytes:
    """Return a history of n epochs."""
    one = (
        b'{"epoch":1,"images":1,"seconds":1,"loss_d":1,"loss_g":1,"d_real":1,"d_fake":1,"value":1}'
        if n < 10**5
        else b'{"epoch":1}'
    )
    return b'{"epochs":[' + b",".join([one] * n) + b"]}"


def in_cache(name: str, target: str, prepare: Callable[[Path], object] = lambda _: None) -> Damage:
    """Move a folder into a cache of the Hugging Face Hub, and leave a link to it.

    One file of its snapshot is a link to `target`; the others are links to their blobs, as they should be.

    Args:
        name: the file with the hostile link.
        target: where it leads. `{up}` is the way from the file to the root of the cache, `{other}` another's name.
        prepare: is called with the root of the cache, which holds `blobs` and `snapshots`.
    """

    def damage(path: Path) -> None:
        cache = path.parent.parent / f"cache-of-{path.parent.parent.name}-{path.name}"
        snapshot = put_in_cache(path, cache)
        (cache / "secret").write_bytes(tiny_png(1) + b"secret")
        prepare(cache)
        (snapshot / name).unlink()
        (snapshot / name).symlink_to(target.format(up="../" * (2 + name.count("/")), other=f"{cache.name}-other"))

    return damage


REVISION = "0123456789abcdef0123456789abcdef01234567"
HASH = "f" * 64


def put_in_cache(path: Path, cache: Path) -> Path:
    """Move a model folder into a cache of the Hub. Return the snapshot, to which `path` becomes a link."""
    snapshot = cache / "snapshots" / REVISION
    (cache / "blobs").mkdir(parents=True)
    snapshot.parent.mkdir()
    path.rename(snapshot)
    for file in [found for found in snapshot.rglob("*") if found.is_file()]:
        blob = cache / "blobs" / hashlib.sha256(file.read_bytes()).hexdigest()
        file.rename(blob)
        file.symlink_to(os.path.relpath(blob, file.parent))
    path.symlink_to(snapshot)
    return snapshot


def blobs_lead_out(cache: Path) -> None:
    """Let the folder of blobs be a link to a folder outside of the cache."""
    outside = cache.with_name(f"{cache.name}-outside")
    (cache / "blobs").rename(outside)
    (outside / HASH).write_bytes(tiny_png(1) + b"secret")
    (cache / "blobs").symlink_to(outside)


def file_below_blobs(cache: Path) -> None:
    """Make a folder of the blobs, and a file in it."""
    folder = cache / "blobs" / HASH
    folder.mkdir()
    (folder / HASH).write_bytes(b"secret")


def another_cache(cache: Path) -> None:
    """Make a second cache beside the first."""
    blobs = cache.with_name(f"{cache.name}-other") / "blobs"
    blobs.mkdir(parents=True)
    (blobs / HASH).write_bytes(tiny_png(1) + b"secret")


def outside_of_a_cache(path: Path) -> None:
    """Let the weights be a link to a blob, from a folder that is no snapshot."""
    blobs = path.parent.parent / "blobs"
    blobs.mkdir(exist_ok=True)
    (path / WEIGHTS).replace(blobs / HASH)
    (path / WEIGHTS).symlink_to(f"../../blobs/{HASH}")


LEADS_OUT = "leads out of its folder"
NOT_INSIDE = "is not a file inside its folder"
SAYS_NO_SAFETENSORS = "model.safetensors is not a safetensors file"
DAMAGES: dict[str, tuple[Damage, str]] = {
    "weights truncated": (text(WEIGHTS, lambda data: data[:-100]), SAYS_NO_SAFETENSORS),
    "weights empty": (text(WEIGHTS, b""), "truncated: it has 0 bytes"),
    "a pickle by that name": (text(WEIGHTS, pickle.dumps({"a": list(range(99))})), SAYS_NO_SAFETENSORS),
    "a header of 2⁶³ bytes": (text(WEIGHTS, lambda data: struct.pack("<Q", 2**63) + data[8:]), "claims a header of"),
    "a header a byte longer": (
        text(WEIGHTS, lambda data: struct.pack("<Q", struct.unpack_from("<Q", data)[0] + 1) + data[8:]),
        SAYS_NO_SAFETENSORS,
    ),
    "a header of 5 MB": (metadata("dataset", "x" * 5_000_000), "claims a header of"),
    "a header nested 100,000 deep": (
        text(WEIGHTS, struct.pack("<Q", 100_000) + b"[" * 100_000),
        SAYS_NO_SAFETENSORS,
    ),
    "bytes behind the tensors": (text(WEIGHTS, lambda data: data + b"\0"), SAYS_NO_SAFETENSORS),
    "tensors that overlap": (header(overlapping), SAYS_NO_SAFETENSORS),
    "wrong shapes": (tensors(lambda of: of.update({WEIGHT: torch.zeros(12, 9)})), "it must be [12, 8]"),
    "a shape of 2⁶³": (header(lambda of: of[WEIGHT].update(shape=[2**63, 2])), SAYS_NO_SAFETENSORS),
    "another dtype": (tensors(lambda of: of.update({WEIGHT: of[WEIGHT].double()})), "is torch.float64"),
    "a dtype that is none": (header(lambda of: of[WEIGHT].update(dtype="OBJECT")), SAYS_NO_SAFETENSORS),
    "a tensor missing": (tensors(lambda of: of.pop(WEIGHT)), "missing ['generator.0.weight']"),
    "10,000 tensors too many": (
        tensors(lambda of: of.update({f"x.{k}": torch.zeros(1) for k in range(10_000)})),
        "unexpected ['x.0'",
    ),
    "NaN weights": (tensors(lambda of: of[WEIGHT].fill_(torch.nan)), "generator.0.weight holds NaN"),
    "D of finite weights gives infinity": (
        tensors(lambda of: [of[name].fill_(3e38) for name in of if name.startswith("discriminator")]),
        "D gives NaN or infinity",
    ),
    "G of finite weights gives NaN": (
        tensors(lambda of: of[WEIGHT].fill_(3e38)),
        "G gives NaN or infinity",
    ),
    "a future version": (metadata("format_version", "6"), "use a newer release"),
    "a version of 5,000 digits": (metadata("format_version", "9" * 5000), "format_version is"),
    "metadata of the wrong type": (metadata("z_dim", '"eight"'), "z_dim: Input should be a valid integer"),
    "a number of 5,000 digits": (metadata("seed", "9" * 5000), "seed is not JSON"),
    "metadata with NaN": (metadata("evaluation", '{"a":NaN}'), "evaluation.a: Input should be a finite number"),
    "a lone surrogate": (metadata("evaluation", '{"\\ud800":1}'), "evaluation is not JSON"),
    "control characters": (metadata("a\n\x1b[2J", "1"), "\\n\\x1b[2J: Extra inputs are not permitted"),
    "4 MB of unknown metadata": (metadata("y" * 4_000_000, "1"), f"metadata of model.safetensors: {'y' * 400}"),
    "networks of 10⁹ units": (metadata("architecture", '{"name":"mlp","generator_widths":[1000000000]}'), "8192"),
    "a pipe for weights": (instead(WEIGHTS, os.mkfifo), "model.safetensors is missing"),
    "a folder for weights": (instead(WEIGHTS, Path.mkdir), "model.safetensors is missing"),
    "a device for weights": (instead(WEIGHTS, link_to("/dev/zero")), "model.safetensors is missing"),
    "weights of 1 TB, sparse": (instead(WEIGHTS, sparse(10**12)), "has 1,000,000,000,000 bytes"),
    "a link out, for weights": (instead(WEIGHTS, link_to("/etc/passwd")), "leads out of its folder"),
    "a link up, for the history": (instead("history.json", link_to("../good/history.json")), "leads out of its folder"),
    "a link to itself": (instead("CARD.md", link_to("CARD.md")), "CARD.md is missing"),
    "a blob's link, outside of a cache": (outside_of_a_cache, LEADS_OUT),
    "a snapshot's link out of its cache": (in_cache(WEIGHTS, "/etc/passwd"), LEADS_OUT),
    "a snapshot's link to its cache": (in_cache("CARD.md", "{up}secret"), LEADS_OUT),
    "a snapshot's link to no hash": (
        in_cache("CARD.md", "{up}blobs/secret", lambda cache: (cache / "blobs/secret").write_bytes(b"secret")),
        LEADS_OUT,
    ),
    "a snapshot's link below the blobs": (
        in_cache(
            "CARD.md",
            f"{{up}}blobs/{HASH}/{HASH}",
            file_below_blobs,
        ),
        LEADS_OUT,
    ),
    "a snapshot's link through the blobs": (in_cache("CARD.md", "{up}blobs/../secret"), LEADS_OUT),
    "a snapshot's link to another cache": (
        in_cache("history.json", f"{{up}}../{{other}}/blobs/{HASH}", another_cache),
        LEADS_OUT,
    ),
    "a blob that leads out": (
        in_cache(WEIGHTS, f"{{up}}blobs/{HASH}", lambda cache: (cache / "blobs" / HASH).symlink_to("/etc/passwd")),
        LEADS_OUT,
    ),
    "blobs that lead out": (in_cache("history.json", f"{{up}}blobs/{HASH}", blobs_lead_out), LEADS_OUT),
    "a blob that is missing": (in_cache(WEIGHTS, f"{{up}}blobs/{HASH}"), "model.safetensors is missing: there is a"),
    "a snapshot's picture out of its cache": (in_cache("timeline/00001.png", "{up}secret"), NOT_INSIDE),
    "a card of 1 GB, sparse": (instead("CARD.md", sparse(2**30)), "has 1,073,741,824 bytes"),
    "200,000 unknown entries": (
        header(lambda of: of["__metadata__"].update({f"{k:x}": "" for k in range(200_000)})),
        "entries; at most 1,000 are allowed",
    ),
    "a history with 1,000,000 unknown names": (
        text("history.json", json.dumps({f"{k:x}": 1 for k in range(1_000_000)}).encode()),
        "an object has 1,000,000 names",
    ),
    "no history": (instead("history.json", lambda _: None), "history.json is missing"),
    "a history of 1,000,000 records": (text("history.json", record(1_000_000)), "history.json is not a history"),
    "a history of 100,001 records": (text("history.json", record(100_001)), "history.json is not a history"),
    "a history nested 10⁶ deep": (text("history.json", b"[" * 10**6), "history.json is not a history"),
    "a pipe for a picture": (instead("timeline/00001.png", os.mkfifo), "is not a file inside its folder"),
    "a link out, for a picture": (instead("timeline/00001.png", link_to_secret), "is not a file inside its folder"),
    "a folder for a picture": (instead("timeline/00001.png", Path.mkdir), "is not a file inside its folder"),
    "a picture of 1 TB, sparse": (instead("timeline/00001.png", sparse(10**12)), "has more than 16,777,216 bytes"),
    "no picture by that name": (text("timeline/00001.png", b"<script>"), "00001.png is not a PNG"),
    "pictures outside": (instead("timeline", link_to("../good/timeline")), "is not a file inside its folder"),
    "20,000 pictures": (
        lambda path: [text(f"timeline/{k}.png", b"")(path) for k in range(20_000)],
        "more than 10,000 pictures",
    ),
    "a picture's name with a line's end": (text("timeline/1\n2.png", b""), "must be its epoch"),
}
"""For each kind: the damage to a good folder, and a part of the message that the service must give for it."""


def _named(name: bytes) -> Callable[[Path, int], object]:
    def make(models: Path, number: int) -> None:
        os.rename(make_tiny_model_folder(models / f"name-{number}"), os.fsencode(models) + b"/" + name)  # noqa: PTH104

    return make


NAMES = [_named(name) for name in (b"a b", b"line\nend", b"\x1b[2J", b"\xff\xfe", b"x" * 200, b"a@b", b"Upper")]
"""Make folders whose names cannot be written in a URL or on a terminal."""
