"""The ONNX files of tiny models: what they compute and what they say about themselves."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from harness.repository import ROOT
from harness.tiny_models import STEEP, make_tiny_model_folder
from models import __version__, bundled_models_dir
from models.images import ImageShape, channels_first, from_uint8
from models.inference.sampler import Sampler
from models.inference.scorer import Scorer
from models.model_folder.loaded_model import LoadedModel
from models.model_folder.onnx_files import ONNX_START
from models.model_folder.read import load_model
from models.networks.conditional import ask_for_class, ballots_of
from models.networks.conv import Conv
from models.networks.goodfellow2014 import Goodfellow2014
from models.networks.mlp import MLP, initialise_like_pytorch
from models.networks.packing import PackedDiscriminator, packed_shape
from training.errors import OnnxError
from training.onnx_export import write
from training.onnx_export.checker import check_discriminator, check_generator, open_session
from training.onnx_export.conversion import convert
from training.onnx_export.write import discriminator_file, generator_file

RGB = ImageShape(channels=3, height=16, width=16)


@dataclass(frozen=True)
class Exported:
    """A tiny model and its two files."""

    model: LoadedModel
    generator: bytes
    discriminator: bytes


def export(model: LoadedModel) -> Exported:
    return Exported(model, generator_file(model), discriminator_file(model))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield tmp_path_factory.mktemp("models")
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def conv(folder: Path) -> Exported:
    """Quantised, with classes of unequal frequency and a tone curve."""
    sizes = Conv(generator_widths=(40,), generator_channels=(6, 4), discriminator_channels=(4, 6), maxout_units=(5,))
    path = make_tiny_model_folder(
        folder / "conv", z_dim=30, classes=10, architecture=sizes, quantised=True, tone_curve=STEEP
    )
    model = load_model(path)
    ballots_of(model.generator).head_starts.copy_(torch.linspace(-0.5, 0.5, 10))
    return export(model)


@pytest.fixture(scope="module")
def mlp(folder: Path) -> Exported:
    """In float32, with batch normalisation, without classes."""
    sizes = MLP(generator_widths=(12,), discriminator_widths=(8,), group_deviation=True)
    return export(load_model(make_tiny_model_folder(folder / "mlp", architecture=sizes)))


@pytest.fixture(scope="module")
def paper(folder: Path) -> Exported:
    """In float32, RGB, with classes and the uniform prior."""
    sizes = Goodfellow2014(generator_widths=(12,), maxout_units=(6, 5), maxout_pieces=3)
    path = make_tiny_model_folder(folder / "paper", architecture=sizes, classes=3, prior="uniform", image_shape=RGB)
    model = load_model(path)
    with torch.no_grad():  # its initial weights would give all pixels the same level, and all images one logit
        for parameter in (*model.generator.parameters(), *model.discriminator.parameters()):
            parameter.copy_(10 * parameter if parameter.ndim == 2 else torch.zeros(len(parameter)))
    return export(model)


@pytest.fixture(scope="module")
def packed(folder: Path) -> Exported:
    """A convolutional pair in float32 that crops its images, and whose D judged packs of two."""
    sizes = Conv(generator_channels=(6, 4), discriminator_channels=(4, 6))
    shape = ImageShape(height=18, width=18)
    model = load_model(make_tiny_model_folder(folder / "packed", architecture=sizes, image_shape=shape))
    body = sizes.discriminator(image_shape=packed_shape(shape, 2))
    initialise_like_pytorch(body, torch.Generator().manual_seed(1))
    return export(replace(model, discriminator=PackedDiscriminator(body, 2)))


ALL = ("conv", "mlp", "paper", "packed")


@pytest.fixture
def exported(request: pytest.FixtureRequest) -> Exported:
    found: Exported = request.getfixturevalue(request.param)
    return found


every = pytest.mark.parametrize("exported", ALL, indirect=True)
with_classes = pytest.mark.parametrize("exported", ["conv", "paper"], indirect=True)


@every
def test_pixels_and_logits_are_those_of_the_folder(exported: Exported) -> None:
    model = exported.model
    latents = model.draw_latents(5, 0, 70)
    session = open_session(exported.generator)
    inputs = {"latents": latents} | ({"class": np.full(70, -1)} if model.metadata.classes else {})
    (images,) = session.run(None, inputs)
    wanted = channels_first(Sampler.of_model(model)(latents)).numpy()
    assert (images.dtype, images.shape) == (np.uint8, (70, *model.metadata.image_shape.chw))
    apart = np.abs(images.astype(int) - wanted)
    assert apart.max() <= (2 if model.tone_curve else 1)  # the tiny curve doubles differences
    assert (apart > 0).mean() < 1e-3
    assert len(np.unique(images)) > 20

    judged = Sampler.of_model(model)(latents)
    (logits,) = open_session(exported.discriminator).run(None, {"images": from_uint8(judged).numpy()})
    assert (logits.dtype, logits.shape) == (np.float32, (70,))
    np.testing.assert_allclose(logits, Scorer.of_model(model)(judged), rtol=1e-4, atol=1e-5)
    assert np.ptp(logits) > 1e-3


@with_classes
def test_a_class_is_asked_for(exported: Exported) -> None:
    model = exported.model
    classes = model.metadata.classes
    latents = model.draw_latents(6, 0, 2 * classes)
    labels = np.repeat(np.arange(classes), 2)
    (images,) = open_session(exported.generator).run(None, {"latents": latents, "class": labels})
    asked = ask_for_class(latents, labels, head_starts=model.head_starts)
    wanted = channels_first(Sampler.of_model(model)(asked)).numpy()
    apart = np.abs(images.astype(int) - wanted)
    assert apart.max() <= 2
    assert (apart > 0).mean() < 1e-3
    unasked = channels_first(Sampler.of_model(model)(latents)).numpy()
    assert (np.abs(images.astype(int) - unasked) > 2).any()


@with_classes
def test_a_class_that_the_model_does_not_have_is_refused(exported: Exported) -> None:
    session, classes = open_session(exported.generator), exported.model.metadata.classes
    latents = exported.model.draw_latents(0, 0, 1)
    for label in (-1, 0, classes - 1):
        session.run(None, {"latents": latents, "class": np.array([label])})
    for label in (-2, -classes, classes, 2**40, -(2**63)):
        with pytest.raises(Exception, match="out of data bounds"):
            session.run(None, {"latents": latents, "class": np.array([label])})


@every
def test_the_files_are_plain_onnx_that_names_nothing_of_this_machine(exported: Exported) -> None:
    for data in (exported.generator, exported.discriminator):
        file = onnx.load_from_string(data)
        onnx.checker.check_model(file, full_check=True)
        assert [entry.domain for entry in file.opset_import] == [""]
        assert data.startswith(ONNX_START)
        assert (file.producer_name, file.producer_version) == ("gan-service", __version__)
        for text in (str(ROOT), str(exported.model.path.parent), "torch", ".py"):
            assert text.encode() not in data


def test_equal_models_give_equal_files(mlp: Exported) -> None:
    assert generator_file(mlp.model) == mlp.generator


def test_what_the_files_say(conv: Exported, mlp: Exported) -> None:
    generator, discriminator = map(onnx.load_from_string, (conv.generator, conv.discriminator))
    said = {entry.key: entry.value for entry in generator.metadata_props}
    reference = conv.model.reference
    assert {name: said[name] for name in said if name not in {"inputs", "outputs"}} == {
        "name": "conv",
        "version": reference,
        "network": "generator",
        "architecture": "conv",
        "prior": "normal",
        "z_dim": "30",
        "image_shape": "[1,28,28]",
        "classes": "10",
        "class_names": json.dumps(list("0123456789"), separators=(",", ":")),
        "licence": "MIT",
        "dataset": "none",
    }
    assert generator.doc_string.startswith(f"G of {reference}: it draws images.\nlatents: float32 [N, 30]: ")
    assert set(json.loads(said["inputs"])) == {"latents", "class"} == {end.name for end in generator.graph.input}
    assert json.loads(said["outputs"])["images"].startswith("uint8 [N, 1, 28, 28]: ")
    of_d = {entry.key: entry.value for entry in discriminator.metadata_props}
    assert json.loads(of_d["calibration"])["real"] == list(conv.model.metadata.calibration.real)
    assert of_d["network"] == "discriminator"
    assert [end.name for end in onnx.load_from_string(mlp.generator).graph.input] == ["latents"]


def test_whole_numbers_take_one_byte_each(conv: Exported) -> None:
    tensors = {tensor.name: tensor for tensor in onnx.load_from_string(conv.generator).graph.initializer}
    assert tensors["generator.1.weight.int8"].data_type == onnx.TensorProto.INT8
    assert len(tensors["generator.1.weight.int8"].raw_data) == 30 * 40
    assert "generator.1.weight" not in tensors


def test_float_images_are_those_before_rounding(conv: Exported) -> None:
    """The tone curve is left out, too."""
    model = conv.model
    file = generator_file(model, "float")
    latents = model.draw_latents(7, 0, 20)
    (images,) = open_session(file).run(None, {"latents": latents, "class": np.full(20, -1)})
    assert images.dtype == np.float32
    np.testing.assert_allclose(images, Sampler.of_model(model).before_rounding(latents).numpy(), atol=1e-5)
    assert check_generator(file, model, "float", latents=50).differing <= 5
    assert "grey level(s);" in str(check_generator(file, model, "float", latents=2))


OUTSIDE = """
import sys
import numpy as np
import onnxruntime
images = {}
for name in ("g", "d"):
    with np.load(name + ".npz") as given:
        session = onnxruntime.InferenceSession(name + ".onnx", providers=["CPUExecutionProvider"])
        images[name] = session.run(None, dict(given))[0]
np.savez("seen.npz", **images)
known = {name.partition(".")[0] for name in sys.modules}
assert not known & {"torch", "onnx", "models", "training", "app", "safetensors"}, known
"""


def test_another_program_needs_onnx_runtime_alone(conv: Exported, tmp_path: Path) -> None:
    model = conv.model
    latents, labels = model.draw_latents(8, 0, 9), np.arange(-1, 8)
    asked = latents.copy()
    asked[1:] = ask_for_class(latents[1:], labels[1:], head_starts=model.head_starts)
    images = Sampler.of_model(model)(asked)
    for name, data in (("g", conv.generator), ("d", conv.discriminator)):
        (tmp_path / f"{name}.onnx").write_bytes(data)
    inputs: dict[str, Any] = {"latents": latents, "class": labels}
    np.savez(tmp_path / "g.npz", **inputs)
    np.savez(tmp_path / "d.npz", images=from_uint8(images).numpy())
    done = subprocess.run(
        [sys.executable, "-I", "-c", OUTSIDE], cwd=tmp_path, env={}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    with np.load(tmp_path / "seen.npz") as seen:
        assert np.abs(seen["g"][:, 0].astype(int) - images).max() <= 2
        np.testing.assert_allclose(seen["d"], Scorer.of_model(model)(images), rtol=1e-4, atol=1e-5)


def test_files_of_another_model_are_found(mlp: Exported, folder: Path) -> None:
    sizes = MLP(generator_widths=(12,), discriminator_widths=(8,), group_deviation=True)
    other = load_model(make_tiny_model_folder(folder / "other", architecture=sizes, seed=1))
    with pytest.raises(OnnxError, match=rf"draws other images than {other.reference}, so no file was written: G: 40 "):
        check_generator(mlp.generator, other, "uint8", latents=40)
    with pytest.raises(OnnxError, match=rf"judges otherwise than {other.reference}, so no file was written: D: 40 "):
        check_discriminator(mlp.discriminator, other, images=40)


def shifted(file: bytes, shift: float) -> bytes:
    """A file whose one output has a constant added to it."""
    model = onnx.load_from_string(file)
    (output,) = model.graph.output
    (last,) = [node for node in model.graph.node if output.name in node.output]
    last.output[:] = ["before"]
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(shift, np.float32), "shift"))
    model.graph.node.append(onnx.helper.make_node("Add", ["before", "shift"], [output.name]))
    data: bytes = model.SerializeToString()
    return data


def test_both_sides_of_the_limit_of_logits(mlp: Exported) -> None:
    scale = check_discriminator(mlp.discriminator, mlp.model, images=40).scale
    assert check_discriminator(shifted(mlp.discriminator, 0.8e-4 * scale), mlp.model, images=40).largest > 0.7e-4
    for shift in (1.2e-4 * scale, float("nan")):
        with pytest.raises(OnnxError, match=r"judges otherwise than .*allowed: 1e-04"):
            check_discriminator(shifted(mlp.discriminator, shift), mlp.model, images=40)


def test_both_sides_of_the_limit_of_pixels(conv: Exported) -> None:
    """One grey level of G is allowed, also where it becomes two by the tone curve, and two levels are not."""
    file = generator_file(conv.model, "float")
    allowed = check_generator(shifted(file, 0.9 / 127.5), conv.model, "float", latents=40)
    assert (allowed.largest, allowed.differing > 0) == (1, True)
    with pytest.raises(OnnxError, match=r"draws other images than .* the largest difference is 2 grey level"):
        check_generator(shifted(file, 1.6 / 127.5), conv.model, "float", latents=40)


def test_neither_file_is_written_if_one_is_wrong(mlp: Exported, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write, "generator_file", lambda *_: mlp.generator)
    monkeypatch.setattr(write, "discriminator_file", lambda *_: shifted(mlp.discriminator, 1.0))
    to = folder / "wrong.onnx", folder / "wrong-d.onnx"
    lines: list[str] = []
    with pytest.raises(OnnxError, match="judges otherwise"):
        write.write_onnx(mlp.model, to, say=lines.append)
    assert [line.partition(" ")[0] for line in lines] == ["G:"]
    assert not any(path.exists() for path in to)


class FixedRows(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.ones(len(x), 1)


def test_a_network_of_one_number_of_rows_is_refused() -> None:
    with pytest.raises(OnnxError, match=r"x of the graph has 2 rows instead of any number: .* `x.shape\[0\]`"):
        convert(FixedRows().eval(), {"x": torch.zeros(2, 3)}, output="y")


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(path.name for path in bundled_models_dir().iterdir() if path.is_dir()))
def test_every_bundled_model(name: str) -> None:
    """2,048 images and logits of each; one level of G becomes two where a tone curve doubles the contrast."""
    model = load_model(bundled_models_dir() / name)
    images = check_generator(generator_file(model), model, "uint8")
    assert images.images == 2048
    assert images.largest <= (1 if model.metadata.quantised or model.tone_curve is None else 2)
    assert images.differing / images.pixels < (1e-5 if model.metadata.quantised else 1e-4)
    assert check_discriminator(discriminator_file(model), model).largest <= 1e-4
