"""A model folder that was written can be read, and each way in which it can be bad has its own error."""

import contextlib
import hashlib
import json
import pickle
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from harness.tiny_models import tiny_png
from models import errors
from models.model_folder import read
from models.model_folder.read import load_model
from models.networks.encoder import Encoder
from tests.models.model_folder.damage import (
    WEIGHT,
    append,
    delete,
    epoch_record,
    half_infinity,
    header_of,
    is_a_folder,
    is_a_pipe,
    link_history_out,
    link_out,
    link_timeline_out,
    link_whole_timeline_out,
    links_to_itself,
    metadata_entry,
    metadata_is,
    no_metadata,
    spoil,
    tensor,
    tensor_entry,
    with_header,
    write,
)
from tests.models.support import with_tensors, write_again


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
    (
        metadata_entry("format_version", "6"),
        errors.FormatVersionError,
        "is '6'; this code reads 1 to 5: use a newer release",
    ),
    (
        metadata_entry("format_version", "0"),
        errors.FormatVersionError,
        "is '0', which is not a version; this code reads 1 to 5: copy",
    ),
    (metadata_entry("format_version", "9" * 5000), errors.FormatVersionError, "reads 1 to 5: use a newer release"),
    (
        metadata_entry("format_version", "one"),
        errors.FormatVersionError,
        "'one', which is not a version; this code reads 1 to 5: copy",
    ),
    (
        metadata_entry("format_version", "02"),
        errors.FormatVersionError,
        "'02', which is not a version; this code reads 1 to 5: copy",
    ),
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
    (
        metadata_entry("calibration", '{"real":[0,1],"generated":[0,1],"varied":[0,1]}'),
        errors.ModelMetadataError,
        "calibration.varied and data_sha256 need format_version 2",
    ),
    (metadata_entry("evaluation", '{"value":Infinity}'), errors.ModelMetadataError, "finite"),
    (tensor(lambda t: t.pop(WEIGHT)), errors.TensorNamesError, "missing ['generator.0.weight']"),
    (tensor(lambda t: t.update(x=torch.zeros(1))), errors.TensorNamesError, "unexpected ['x']"),
    (tensor(lambda t: t.update({WEIGHT: torch.zeros(12, 9)})), errors.TensorShapeError, "[12, 9]; it must be [12, 8]"),
    (tensor(lambda t: t.update({WEIGHT: t[WEIGHT].double()})), errors.TensorDtypeError, "torch.float64"),
    (tensor(lambda t: t.update({WEIGHT: t[WEIGHT].int()})), errors.TensorDtypeError, "torch.int32"),
    (spoil(WEIGHT, float("nan")), errors.TensorNotFiniteError, "generator.0.weight holds NaN"),
    (spoil("discriminator.1.weight", float("inf")), errors.TensorNotFiniteError, "discriminator.1.weight"),
    (half_infinity, errors.TensorNotFiniteError, "generator.0.weight holds NaN or infinity"),
    (spoil("generator.1.running_var", -1e-3), errors.TensorRangeError, "holds -0.001, but a variance cannot be neg"),
    (
        tensor(lambda t: t.update({name: torch.full_like(t[name], 3e38) for name in t if "discriminator" in name})),
        errors.NetworkNotFiniteError,
        "D gives NaN or infinity",
    ),
    (
        tensor(lambda t: t[WEIGHT].fill_(3e38)),
        errors.NetworkNotFiniteError,
        "G gives NaN or infinity: its weights are finite, but too large",
    ),
    (links_to_itself("model.safetensors"), errors.ModelFileMissingError, "model.safetensors is missing"),
    (is_a_folder("model.safetensors"), errors.ModelFileMissingError, "model.safetensors is missing"),
    (is_a_pipe("history.json"), errors.ModelFileMissingError, "history.json is missing"),
    (link_history_out, errors.ModelPathError, "leads out of its folder"),
    (link_whole_timeline_out, errors.ModelPathError, "not a file inside its folder"),
    (links_to_itself("timeline/00001.png"), errors.ModelPathError, "not a file inside its folder"),
    (is_a_folder("timeline/00001.png"), errors.ModelPathError, "not a file inside its folder"),
    (is_a_pipe("timeline/00001.png"), errors.ModelPathError, "not a file inside its folder"),
    (write("timeline/00003.png", b""), errors.TimelineError, "00003.png is not a PNG"),
    (write("timeline/00003.png", b"\x89PNG\r\n\x1a"), errors.TimelineError, "00003.png is not a PNG"),
    (write("timeline/-1.png", b"\x89PNG\r\n\x1a\n"), errors.TimelineError, "must be its epoch"),
    (write("timeline/\u0661.png", b"\x89PNG\r\n\x1a\n"), errors.TimelineError, "must be its epoch"),
    (write(f"timeline/{'1' * 10}.png", b"\x89PNG\r\n\x1a\n"), errors.TimelineError, "must be its epoch"),
    (append("model.safetensors", b"\0"), errors.ModelUnreadableError, "not a safetensors file, or truncated"),
    (tensor_entry("shape", [2**63, 2]), errors.ModelUnreadableError, "not a safetensors file"),
    (tensor_entry("shape", [96, -1]), errors.ModelUnreadableError, "not a safetensors file"),
    (tensor_entry("data_offsets", [2**60, 2**60 + 384]), errors.ModelUnreadableError, "not a safetensors file"),
    (tensor_entry("data_offsets", [1, 385]), errors.ModelUnreadableError, "not a safetensors file"),
    (tensor_entry("dtype", "X9"), errors.ModelUnreadableError, "not a safetensors file"),
    (tensor_entry("dtype", "F6_E2M3", shape=[12, 8, 2, 2, 4, 1, 1]), errors.ModelUnreadableError, "safetensors"),
    (tensor_entry("dtype", "F4", shape=[12, 8, 8]), errors.TensorDtypeError, "float4"),
    (tensor_entry("dtype", "C64", shape=[48]), errors.TensorDtypeError, "torch.complex64"),
    (tensor_entry("dtype", "BF16", shape=[192]), errors.TensorDtypeError, "torch.bfloat16"),
    (tensor_entry("dtype", "F16", shape=[192]), errors.TensorShapeError, "[192]; it must be [12, 8]"),
    (tensor_entry("shape", [8, 12]), errors.TensorShapeError, "[8, 12]; it must be [12, 8]"),
    (metadata_is({}), errors.ModelMetadataError, "holds no metadata"),
    (metadata_is([1]), errors.ModelUnreadableError, "not a safetensors file"),
    (metadata_is({"z_dim": 8}), errors.ModelUnreadableError, "not a safetensors file"),
    (metadata_entry("format_version", "1.0"), errors.FormatVersionError, "'1.0'"),
    (metadata_entry("format_version", "\u0661"), errors.FormatVersionError, "reads 1 to 5"),
    (metadata_entry("format_version", "-1"), errors.FormatVersionError, "'-1'"),
    (metadata_entry("z_dim", "9" * 5000), errors.ModelMetadataError, "z_dim is not JSON"),
    (metadata_entry("z_dim", "4097"), errors.ModelMetadataError, "z_dim: Input should be less than or equal to 4096"),
    (metadata_entry("z_dim", "null"), errors.ModelMetadataError, "z_dim: Input should be a valid integer"),
    (metadata_entry("z_dim", "8.5"), errors.ModelMetadataError, "z_dim: Input should be a valid integer"),
    (metadata_entry("architecture", "[" * 10**6), errors.ModelMetadataError, "architecture is not JSON"),
    (metadata_entry("architecture", '{"a":' * 900 + "1" + "}" * 900), errors.ModelMetadataError, "architecture"),
    (metadata_entry("architecture", '{"name":{}}'), errors.ModelMetadataError, "architecture"),
    (metadata_entry("architecture", '{"name":"mlp","depth":3}'), errors.ModelMetadataError, "depth: Extra inputs"),
    (metadata_entry("architecture", '{"name":"mlp","leaky_slope":1}'), errors.ModelMetadataError, "leaky_slope"),
    (metadata_entry("evaluation", '{"value":' + "9" * 400 + "}"), errors.ModelMetadataError, "evaluation.value"),
    (metadata_entry("evaluation", "null"), errors.ModelMetadataError, "evaluation: Input should be a valid dict"),
    (
        metadata_entry("calibration", '{"real":[0,1]}'),
        errors.ModelMetadataError,
        "calibration.generated: Field required",
    ),
    (metadata_entry("dataset", "x" * 201), errors.ModelMetadataError, "dataset: String should have at most 200"),
    (metadata_entry("images_seen", "-1"), errors.ModelMetadataError, "images_seen"),
    (metadata_entry("evaluation", '{"\\ud800":1}'), errors.ModelMetadataError, "evaluation is not JSON"),
    (
        metadata_entry("evaluation", json.dumps({str(k): "x" for k in range(1001)})),
        errors.ModelMetadataError,
        "an object has 1,001 names; at most 1,000 are allowed",
    ),
    (
        lambda path: with_header(
            path / "model.safetensors", lambda header: header["__metadata__"].update({str(k): "1" for k in range(1001)})
        ),
        errors.ModelMetadataError,
        "entries; at most 1,000 are allowed",
    ),
    (
        write("history.json", json.dumps({"epochs": [{"metrics": {str(k): "x" for k in range(1001)}}]}).encode()),
        errors.HistoryError,
        "an object has 1,001 names",
    ),
    (
        write("history.json", b'{"epochs":[' + b'{"epoch":1},' * 99_999 + b'{"epoch":1}]}'),
        errors.HistoryError,
        "epochs.0.images: Field required",
    ),
    (write("history.json", b"{"), errors.HistoryError, "not a history"),
    (write("history.json", b'{"epochs":[{"epoch":1}]}'), errors.HistoryError, "epochs.0.images"),
    (write("history.json", b"[" * 100_000), errors.HistoryError, "not a history"),
    (write("history.json", b""), errors.HistoryError, "not a history: the file: Invalid JSON"),
    (write("history.json", b"\xff\xfe{}"), errors.HistoryError, "not a history: the file: Invalid JSON"),
    (write("history.json", b"null"), errors.HistoryError, "not a history: the file: Input should be an object"),
    (write("history.json", b'{"epochs":[],"more":1}'), errors.HistoryError, "more: Extra inputs"),
    (epoch_record("loss_d", "NaN"), errors.HistoryError, "epochs.0.loss_d: Input should be a finite number"),
    (epoch_record("seconds", "1e999"), errors.HistoryError, "epochs.0.seconds: Input should be a finite number"),
    (
        epoch_record("metrics", '{"fid":-Infinity}'),
        errors.HistoryError,
        "epochs.0.metrics.fid: Input should be a finite",
    ),
    (epoch_record("epoch", "0"), errors.HistoryError, "epochs.0.epoch: Input should be greater than or equal to 1"),
    (write("timeline/00003.png", b"GIF89a"), errors.TimelineError, "00003.png is not a PNG"),
    (write("timeline/last.png", b"\x89PNG\r\n\x1a\n"), errors.TimelineError, "must be its epoch"),
]

ADVICE = (
    "copy or export the model again",
    "export another run",
    "export the model with",
    "use a newer release",
    "put ",
    "remove ",
    "`python -m training export` writes it",
    "name must be its epoch, such as 00005.png",
)


@pytest.mark.parametrize(("damage", "kind", "message"), DAMAGES)
def test_every_damage_has_its_error(
    good: Path, damage: Callable[[Path], object], kind: type[errors.ModelFolderError], message: str
) -> None:
    damage(good)
    with pytest.raises(kind) as raised:
        load_model(good)
    assert type(raised.value) is kind
    assert message in str(raised.value)
    assert any(advice in str(raised.value) for advice in ADVICE)


def test_every_error_is_provoked_somewhere_here() -> None:
    kinds = {kind for _, kind, _ in DAMAGES}
    elsewhere = {
        errors.ModelDestinationError,
        errors.ModelFolderNotFoundError,
        errors.ModelNameError,
        errors.ModelTooLargeError,
    }
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
        write_again(model, good.with_name(name))


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
    monkeypatch.setattr(read, limit, size)
    load_model(good)
    monkeypatch.setattr(read, limit, size - 1)
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
    start = len(data) - len(header_of(data)[1])
    rng = np.random.default_rng(0)
    refused = {"header": 0, "tensors": 0}
    places = [("header", place) for place in rng.integers(0, start, 300)]
    places += [("tensors", place) for place in rng.integers(start, len(data), 100)]
    for part, place in places:
        flipped = bytearray(data)
        flipped[place] ^= 1 << rng.integers(8)
        (good / "model.safetensors").write_bytes(flipped)
        try:
            model = load_model(good)
        except errors.ModelFolderError:
            refused[part] += 1
        else:
            state = (*model.generator.state_dict().values(), *model.discriminator.state_dict().values())
            assert all(torch.isfinite(tensor).all() for tensor in state)
    assert refused["header"] > 150
    assert refused["tensors"] < 10  # a slightly different weight is still valid


@pytest.mark.parametrize("name", ["history.json", "timeline/00001.png"])
def test_damaged_texts_and_pictures_give_no_other_error(good: Path, name: str) -> None:
    data = (good / name).read_bytes()
    rng = np.random.default_rng(1)
    for place in rng.integers(0, len(data), 60):
        flipped = bytearray(data)
        flipped[place] ^= 1 << rng.integers(8)
        for damaged in (bytes(flipped), data[:place]):
            (good / name).write_bytes(damaged)
            with contextlib.suppress(errors.HistoryError, errors.TimelineError):
                load_model(good)


def test_a_link_within_the_folder_is_no_harm(good: Path) -> None:
    (good / "model.safetensors").rename(good / "weights")
    (good / "model.safetensors").symlink_to("weights")
    load_model(good)


def test_the_hash_is_that_of_the_file(good: Path) -> None:
    model = load_model(good)
    assert model.sha256 == hashlib.sha256((good / "model.safetensors").read_bytes()).hexdigest()
    assert model.hash12 == model.sha256[:12]


def test_a_card_is_text_whatever_its_bytes(good: Path) -> None:
    (good / "CARD.md").write_bytes(b"caf\xe9 \xc3\xa9")
    assert load_model(good).card == "caf\ufffd é"


def test_the_timeline_is_in_the_order_of_its_epochs(good: Path) -> None:
    for name in ("9.png", "0010.png", "100000.png"):
        (good / "timeline" / name).write_bytes(tiny_png(1))
    timeline = load_model(good).timeline
    assert [entry.epoch for entry in timeline] == [0, 1, 2, 9, 10, 100_000]
    assert [entry.path.name for entry in timeline][3:] == ["9.png", "0010.png", "100000.png"]


def test_a_timeline_may_be_absent(good: Path) -> None:
    shutil.rmtree(good / "timeline")
    assert load_model(good).timeline == ()


def test_the_timelines_length_at_its_limit_and_one_past(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read, "MAX_TIMELINE_PICTURES", 3)
    load_model(good)
    monkeypatch.setattr(read, "MAX_TIMELINE_PICTURES", 2)
    with pytest.raises(errors.TimelineError, match="more than 2 pictures"):
        load_model(good)


def test_the_headers_length_at_its_limit_and_one_past(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (length,) = struct.unpack_from("<Q", (good / "model.safetensors").read_bytes())
    monkeypatch.setattr(read, "MAX_HEADER_BYTES", length)
    load_model(good)
    monkeypatch.setattr(read, "MAX_HEADER_BYTES", length - 1)
    with pytest.raises(errors.ModelUnreadableError, match=f"claims a header of {length:,} bytes"):
        load_model(good)


# mkdir: the folder and its timeline; fsync: four files, the folder of each, and the new folder; open: likewise;
# replace: four files; rename: the old folder away, the new one to its place. The tenth sync follows the renames.


def test_an_encoder_that_is_written_is_read(encoding: Path, tmp_path: Path) -> None:
    model = load_model(encoding)
    assert model.metadata.encoder == Encoder(widths=(6,))
    assert model.encoder is not None
    assert model.encoder(torch.zeros(3, 1, 28, 28)).shape == (3, 8)
    assert not model.encoder.training
    assert not any(parameter.requires_grad for parameter in model.encoder.parameters())
    write_again(model, tmp_path / "again")
    assert (tmp_path / "again" / "model.safetensors").read_bytes() == (encoding / "model.safetensors").read_bytes()


def test_a_model_without_an_encoder_says_nothing_of_one(good: Path) -> None:
    """Its bytes are the same as before encoders existed, so that an older reader accepts them."""
    header, _ = header_of((good / "model.safetensors").read_bytes())
    assert "encoder" not in header["__metadata__"]
    assert load_model(good).encoder is None


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        (lambda t: t.pop("encoder.1.weight"), errors.TensorNamesError, "missing .'encoder.1.weight'"),
        (lambda t: t.update({"encoder.9.weight": torch.zeros(1)}), errors.TensorNamesError, "unexpected .'encoder.9.w"),
        (lambda t: t.update({"encoder.3.bias": torch.zeros(9)}), errors.TensorShapeError, r"encoder.3.bias .* \[9\]"),
        (lambda t: t["encoder.3.bias"].fill_(torch.nan), errors.TensorNotFiniteError, "encoder.3.bias holds NaN"),
        (
            lambda t: t.update({"encoder.3.bias": t["encoder.3.bias"].double()}),
            errors.TensorDtypeError,
            "encoder.3.bias is torch.float64",
        ),
    ],
    ids=["missing", "extra", "shape", "NaN", "dtype"],
)
def test_an_encoder_is_checked(
    encoding: Path, change: Callable[[dict[str, torch.Tensor]], object], error: type[Exception], text: str
) -> None:
    with_tensors(encoding / "model.safetensors", change)
    with pytest.raises(error, match=text):
        load_model(encoding)


@pytest.mark.parametrize(
    ("text", "error", "told"),
    [
        ("null", errors.TensorNamesError, "unexpected .'encoder.1.bias'"),
        ('{"widths":[7]}', errors.TensorShapeError, r"encoder.*must be \[7"),
        ('{"widths":[99999]}', errors.ModelMetadataError, "encoder.widths"),
        ('{"widths":[6],"depth":3}', errors.ModelMetadataError, "encoder.depth"),
        ("{", errors.ModelMetadataError, "encoder is not JSON"),
    ],
)
def test_sizes_of_an_encoder_are_checked(encoding: Path, text: str, error: type[Exception], told: str) -> None:
    with_header(encoding / "model.safetensors", lambda header: header["__metadata__"].update({"encoder": text}))
    with pytest.raises(error, match=told):
        load_model(encoding)


def test_an_encoder_that_is_promised_and_not_there(good: Path) -> None:
    def promise(header: dict[str, Any]) -> None:
        header["__metadata__"]["encoder"] = '{"widths":[6]}'

    with_header(good / "model.safetensors", promise)
    with pytest.raises(errors.TensorNamesError, match=r"missing .'encoder.1.bias'"):
        load_model(good)


# --- Where a model folder may be written ------------------------------------------------------------
