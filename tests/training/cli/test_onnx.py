"""`training onnx` and `training export --onnx`: where the files are written, and what is never replaced."""

from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from harness.tiny_models import make_tiny_model_folder
from models.errors import ModelDestinationError
from models.model_folder.destination import check_destination
from models.model_folder.read import load_model
from tests.training.support import make_config, play, tiny_recipe, write_npz
from training.cli.command_line import main
from training.onnx_export import checker, write
from training.run.folder import RunFolder


@pytest.fixture(autouse=True)
def few_latents(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare few images; tests/training/onnx_export compares 2,048 of each bundled model."""
    monkeypatch.setattr(write, "check_generator", partial(checker.check_generator, latents=8))
    monkeypatch.setattr(write, "check_discriminator", partial(checker.check_discriminator, images=8))


def test_both_files_are_written_and_written_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = make_tiny_model_folder(tmp_path / "tiny")
    to, beside = tmp_path / "a.onnx", tmp_path / "a-d.onnx"
    to.touch()  # an empty file is replaced
    assert main(["onnx", str(model), "--to", str(to)]) == 0
    printed = capsys.readouterr()
    reference = load_model(model).reference
    first, of_g, of_d, last = printed.out.splitlines()
    assert first.startswith(f"converting G and D of {reference}: ")
    assert of_g.startswith("G: 8 images compared with the folder's: the largest difference is ")
    assert of_d.startswith("D: 8 logits compared with the folder's: the largest difference is ")
    assert last == f"wrote {reference} to {to} (G) and {beside} (D)"
    assert printed.err == ""
    assert {path.name for path in tmp_path.iterdir()} == {"tiny", "a.onnx", "a-d.onnx"}
    (output,) = onnxruntime.InferenceSession(to).get_outputs()
    assert (output.name, output.type) == ("images", "tensor(uint8)")
    (images,) = onnxruntime.InferenceSession(beside).get_inputs()
    assert images.shape == ["N", 1, 28, 28]

    assert main(["onnx", str(model), "--to", str(to), "--images", "float"]) == 0
    (output,) = onnxruntime.InferenceSession(to).get_outputs()
    assert output.type == "tensor(float)"


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("g.png", 2, "g.png: an ONNX file of `training onnx` is written there; name it {folder}/g.onnx"),
        ("g", 2, "g: an ONNX file of `training onnx` is written there; name it {folder}/g.onnx"),
        ("nowhere/g.onnx", 1, "nowhere/g.onnx: there is no folder {folder}/nowhere; make it first"),
        ("folder.onnx", 1, "folder.onnx: a folder is there, and is not replaced; name another path"),
        ("other.onnx", 1, "other.onnx: a file that is not an ONNX file of `training onnx` is there, and is not "),
        ("beside.onnx", 1, "beside-d.onnx: a file that is not an ONNX file of `training onnx` is there, and is not "),
        ("linked.onnx", 1, "linked-d.onnx: a symbolic link is there, and is not replaced"),
    ],
)
def test_what_is_never_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, code: int, message: str
) -> None:
    model = make_tiny_model_folder(tmp_path / "tiny")
    (tmp_path / "folder.onnx").mkdir()
    (tmp_path / "other.onnx").write_bytes(b"\x08\x0a\x12\x07pytorch")  # how another program's file begins
    (tmp_path / "beside-d.onnx").write_text("a letter")
    (tmp_path / "linked-d.onnx").symlink_to("nothing.onnx")
    before = sorted(path.name for path in tmp_path.iterdir())
    assert main(["onnx", str(model), "--to", str(tmp_path / name)]) == code
    printed = capsys.readouterr()
    assert printed.err.startswith(f"error: --to {tmp_path}/{message.format(folder=tmp_path)}")
    assert printed.out == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == before


@pytest.mark.parametrize("place", [".", "/", "..", "-"])
def test_a_place_that_is_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str], place: str) -> None:
    assert main(["onnx", str(make_tiny_model_folder(tmp_path / "tiny")), "--to", place]) == 1
    why = "standard output is not supported; name a file" if place == "-" else "a folder is there, and is not replaced"
    assert capsys.readouterr().err.startswith(f"error: --to {place}: {why}")


def test_a_model_that_does_not_exist(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["onnx", "no-such", "--to", str(tmp_path / "g.onnx")]) == 1
    assert "no-such is not a folder; name a model folder" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_an_export_with_onnx_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The next export replaces them with the folder, so they never belong to other weights than those beside them."""
    config = make_config(tiny_recipe("mlp", "epochs=1"), write_npz(tmp_path / "data.npz"))
    run, to = RunFolder(tmp_path / "run"), tmp_path / "m"
    run.create(config)
    play(run, config)
    assert main(["export", str(run.path), "--to", str(to), "--onnx"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == f"wrote G and D as ONNX files, {to}/model.onnx and {to}/model-d.onnx"
    model = load_model(to)
    session = onnxruntime.InferenceSession(to / "model.onnx")
    assert session.get_modelmeta().custom_metadata_map["version"] == model.reference
    (images,) = session.run(None, {"latents": np.zeros((1, 4), np.float32)})
    assert images.shape == (1, 1, 16, 16)

    assert check_destination(to)
    assert main(["export", str(run.path), "--to", str(to)]) == 0
    assert not (to / "model.onnx").exists()


@pytest.mark.parametrize("name", ["model.onnx", "model-d.onnx"])
def test_another_programs_file_in_a_model_folder_is_not_lost(tmp_path: Path, name: str) -> None:
    model = make_tiny_model_folder(tmp_path / "tiny")
    (model / name).write_bytes(b"\x08\x0a\x12\x0bgan-service ...")
    assert check_destination(model)
    for other in (b"\x08\x0a\x12\x07pytorch", b"\x08\x0a\x12\x0bgan-servic", b""):
        (model / name).write_bytes(other)
        with pytest.raises(ModelDestinationError, match=f"holds '{name}', which is not part of a model folder"):
            check_destination(model)
