"""The model folder: what is written is read, and every way in which it can be bad has its own error."""

import errno
import json
import os
import pickle
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from models import errors, folder
from models.folder import load_model, sort_metadata, write_model
from models.metadata import parse_metadata
from tests.tiny import make_tiny_model_folder


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return make_tiny_model_folder(tmp_path / "tiny")


def header_of(data: bytes) -> tuple[dict[str, Any], bytes]:
    """A safetensors file's header, and the bytes after it."""
    (length,) = struct.unpack_from("<Q", data)
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def with_header(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the header of a safetensors file."""
    header, body = header_of(path.read_bytes())
    change(header)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)


def with_tensors(path: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    """Change the tensors of a safetensors file, and leave its metadata."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    change(tensors)
    save_file(tensors, path, metadata)


def test_what_is_written_is_read(good: Path) -> None:
    model = load_model(good)
    assert model.name == "tiny"
    assert model.reference == f"tiny@{model.sha256[:12]}"
    assert model.metadata.recipe == "tiny"
    assert [record.epoch for record in model.history.epochs] == [1, 2]
    assert [entry.epoch for entry in model.timeline] == [0, 1, 2]
    assert model.card.startswith("# Tiny")
    for network in (model.generator, model.discriminator):
        assert not network.training
        assert not any(parameter.requires_grad for parameter in network.parameters())


def test_weights_are_those_that_were_written(good: Path, tmp_path: Path) -> None:
    model = load_model(good)
    write_model(
        tmp_path / "again",
        metadata=model.metadata,
        generator=model.generator,
        discriminator=model.discriminator,
        history=model.history,
        timeline={},
        card="",
    )
    assert (tmp_path / "again" / "model.safetensors").read_bytes() == (good / "model.safetensors").read_bytes()


def test_bytes_are_the_same_in_every_process(good: Path, tmp_path: Path) -> None:
    code = "import sys, pathlib; from tests.tiny import make_tiny_model_folder as make; make(pathlib.Path(sys.argv[1]))"
    for name in ("a", "b"):
        subprocess.run([sys.executable, "-c", code, tmp_path / name], check=True)
        assert (tmp_path / name / "model.safetensors").read_bytes() == (good / "model.safetensors").read_bytes()


def test_metadata_keeps_its_order_and_its_meaning(good: Path) -> None:
    data = (good / "model.safetensors").read_bytes()
    header, _ = header_of(data)
    assert list(header["__metadata__"]) == sorted(header["__metadata__"])
    assert header["__metadata__"]["prior"] == "normal"
    metadata = load_model(good).metadata
    assert parse_metadata(metadata.to_strings()) == metadata
    assert sort_metadata(data) == data


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
    """Change an entry of the metadata; None takes it out."""

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


def spoil(name: str, value: float) -> Callable[[Path], None]:
    return tensor(lambda tensors: tensors[name].view(-1)[3:4].fill_(value))


WEIGHT = "generator.0.weight"

DAMAGES: list[tuple[Callable[[Path], object], type[errors.ModelFolderError], str]] = [
    (delete("model.safetensors"), errors.ModelFileMissingError, "model.safetensors is missing"),
    (delete("history.json"), errors.ModelFileMissingError, "history.json is missing"),
    (delete("CARD.md"), errors.ModelFileMissingError, "CARD.md is missing"),
    (link_out, errors.ModelPathError, "leads out of its folder"),
    (link_timeline_out, errors.ModelPathError, "not a file inside its folder"),
    (write("model.safetensors", b""), errors.ModelUnreadableError, "truncated: it has 0 bytes"),
    (write("model.safetensors", pickle.dumps({"a": 1}) * 9), errors.ModelUnreadableError, "not a safetensors file"),
    (write("model.safetensors", b"\xff" * 99), errors.ModelUnreadableError, "claims a header of"),
    (write("model.safetensors", struct.pack("<Q", 2) + b"[]"), errors.ModelUnreadableError, "not a safetensors file"),
    (no_metadata, errors.ModelMetadataError, "holds no metadata"),
    (metadata_entry("format_version", None), errors.ModelMetadataError, "format_version: Field required"),
    (metadata_entry("format_version", "2"), errors.FormatVersionError, "format_version is '2'"),
    (metadata_entry("format_version", "0"), errors.FormatVersionError, "use a newer release"),
    (metadata_entry("format_version", "9" * 5000), errors.FormatVersionError, "reads 1 to 1"),
    (metadata_entry("format_version", "one"), errors.FormatVersionError, "'one'"),
    (metadata_entry("z_dim", None), errors.ModelMetadataError, "z_dim: Field required"),
    (metadata_entry("z_dim", "0"), errors.ModelMetadataError, "z_dim: Input should be greater"),
    (metadata_entry("z_dim", "{"), errors.ModelMetadataError, "z_dim is not JSON"),
    (metadata_entry("z_dim", "[" * 5000), errors.ModelMetadataError, "z_dim"),
    (metadata_entry("z_dim", "9"), errors.TensorShapeError, "must be"),
    (metadata_entry("prior", "cauchy"), errors.ModelMetadataError, "prior"),
    (metadata_entry("seed", str(2**53)), errors.ModelMetadataError, "seed"),
    (metadata_entry("surprise", "1"), errors.ModelMetadataError, "surprise: Extra inputs"),
    (metadata_entry("architecture", '{"name":"transformer"}'), errors.ModelMetadataError, "architecture"),
    (
        metadata_entry("architecture", '{"name":"mlp","generator_widths":[1000000000]}'),
        errors.ModelMetadataError,
        "8192",
    ),
    (metadata_entry("architecture", '{"name":"mlp"}'), errors.TensorNamesError, "missing"),
    (metadata_entry("image_shape", '{"channels":1,"height":28,"width":32}'), errors.ModelMetadataError, "square"),
    (metadata_entry("calibration", '{"real":[1,0],"generated":[0,1]}'), errors.ModelMetadataError, "must not decrease"),
    (metadata_entry("calibration", '{"real":[NaN,1],"generated":[0,1]}'), errors.ModelMetadataError, "finite"),
    (metadata_entry("evaluation", '{"value":Infinity}'), errors.ModelMetadataError, "finite"),
    (tensor(lambda t: t.pop(WEIGHT)), errors.TensorNamesError, "missing ['generator.0.weight']"),
    (tensor(lambda t: t.update(x=torch.zeros(1))), errors.TensorNamesError, "unexpected ['x']"),
    (tensor(lambda t: t.update({WEIGHT: torch.zeros(12, 9)})), errors.TensorShapeError, "[12, 9]; it must be [12, 8]"),
    (tensor(lambda t: t.update({WEIGHT: t[WEIGHT].double()})), errors.TensorDtypeError, "torch.float64"),
    (tensor(lambda t: t.update({WEIGHT: t[WEIGHT].int()})), errors.TensorDtypeError, "torch.int32"),
    (spoil(WEIGHT, float("nan")), errors.TensorNotFiniteError, "generator.0.weight holds NaN"),
    (spoil("discriminator.1.weight", float("inf")), errors.TensorNotFiniteError, "discriminator.1.weight"),
    (write("history.json", b"{"), errors.HistoryError, "not a history"),
    (write("history.json", b'{"epochs":[{"epoch":1}]}'), errors.HistoryError, "epochs.0.images"),
    (write("history.json", b"[" * 100_000), errors.HistoryError, "not a history"),
    (write("timeline/00003.png", b"GIF89a"), errors.TimelineError, "00003.png is not a PNG"),
    (write("timeline/last.png", b"\x89PNG\r\n\x1a\n"), errors.TimelineError, "must be its epoch"),
]


@pytest.mark.parametrize(("damage", "kind", "message"), DAMAGES)
def test_every_damage_has_its_error(
    good: Path, damage: Callable[[Path], object], kind: type[errors.ModelFolderError], message: str
) -> None:
    damage(good)
    with pytest.raises(kind) as raised:
        load_model(good)
    assert type(raised.value) is kind
    assert message in str(raised.value)


def test_every_error_is_provoked_somewhere_here() -> None:
    kinds = {kind for _, kind, _ in DAMAGES}
    elsewhere = {errors.ModelFolderNotFoundError, errors.ModelNameError, errors.ModelTooLargeError}
    assert kinds | elsewhere == set(errors.ModelFolderError.__subclasses__())


def test_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "nothing", tmp_path / "file"):
        with pytest.raises(errors.ModelFolderNotFoundError, match="is not a folder"):
            load_model(path)


@pytest.mark.parametrize("name", ["Tiny", "a b", "-a", "ä", "a" * 65, "a@b"])
def test_names_that_cannot_stand_in_a_url(good: Path, name: str) -> None:
    model = load_model(good)
    with pytest.raises(errors.ModelNameError, match="cannot be a model's name"):
        load_model(good.rename(good.with_name(name)))
    with pytest.raises(errors.ModelNameError, match="cannot be a model's name"):
        write_model(
            good.with_name(name),
            metadata=model.metadata,
            generator=model.generator,
            discriminator=model.discriminator,
            history=model.history,
            timeline={},
            card="",
        )


@pytest.mark.parametrize(
    ("limit", "name"),
    [
        ("MAX_WEIGHTS_BYTES", "model.safetensors"),
        ("MAX_TEXT_BYTES", "history.json"),
        ("MAX_PICTURE_BYTES", "timeline/00000.png"),
    ],
)
def test_sizes_at_their_limit_and_one_past(good: Path, monkeypatch: pytest.MonkeyPatch, limit: str, name: str) -> None:
    size = (good / name).stat().st_size
    for picture in (good / "timeline").iterdir():
        picture.write_bytes((good / "timeline" / "00000.png").read_bytes())
    (good / "CARD.md").write_text("x")
    monkeypatch.setattr(folder, limit, size)
    load_model(good)
    monkeypatch.setattr(folder, limit, size - 1)
    with pytest.raises(errors.ModelTooLargeError, match=f"{size:,} bytes|more than {size - 1:,} bytes"):
        load_model(good)


def test_truncated_anywhere(good: Path) -> None:
    data = (good / "model.safetensors").read_bytes()
    for cut in np.linspace(0, len(data) - 1, 60).astype(int):
        (good / "model.safetensors").write_bytes(data[:cut])
        with pytest.raises(errors.ModelUnreadableError):
            load_model(good)


def test_flipped_bits_never_get_past_the_checks_as_another_error(good: Path) -> None:
    data = (good / "model.safetensors").read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for place in rng.integers(0, min(len(data), 6000), 400):  # most of them in the header
        flipped = bytearray(data)
        flipped[place] ^= 1 << rng.integers(8)
        (good / "model.safetensors").write_bytes(flipped)
        try:
            load_model(good)
        except errors.ModelFolderError:
            refused += 1
    assert refused > 100


def test_a_full_disk_leaves_the_model_that_was_there(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path.name: path.read_bytes() for path in good.rglob("*") if path.is_file()}
    model = load_model(good)

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_model(
            good,
            metadata=model.metadata,
            generator=model.generator,
            discriminator=model.discriminator,
            history=model.history,
            timeline={},
            card="new",
        )
    assert {path.name: path.read_bytes() for path in good.rglob("*") if path.is_file()} == before
    assert [path.name for path in good.parent.iterdir()] == ["tiny"]


def test_importing_models_does_no_work() -> None:
    code = (
        "import sys; "
        "import models.folder, models.sampler, models.scorer, models.latents, models.architectures; "
        "assert not [name for name in sys.modules if name.split('.')[0] in ('app', 'training', 'PIL', 'fastapi')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
