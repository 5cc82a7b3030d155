"""A run that begins from a model: its weights go into the run folder, and the model is not needed any more."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from harness.tiny_models import make_tiny_model_folder
from models import bundled_models_dir
from models.images import ImageShape
from models.latents import draw_latents
from models.model_folder.read import load_model
from models.networks.quantised import Quantised
from tests.training.support import exported_bytes, grid_bytes, make_config, play, tiny_recipe, write_npz
from training.config import RunConfig
from training.errors import RunError
from training.gan.transfer import StartingModel
from training.run import writer
from training.run.fixed_grid import draw_grid
from training.run.folder import RunFolder
from training.run.starting_model import read_start, serialise_start, start_of_model, start_of_run
from training.run.writer import FolderWriter

SHAPE = ImageShape(height=16, width=16)


@pytest.fixture(autouse=True)
def quick_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "draw_curves", lambda *_args, **_kwargs: b"curves")


def begin(path: Path, config: RunConfig, start: StartingModel) -> RunFolder:
    folder = RunFolder(path)
    with FolderWriter(config, folder) as writing:
        writing.create(start)
    return folder


def config_from(start: StartingModel, tmp_path: Path, *overrides: str) -> RunConfig:
    recipe = tiny_recipe("mlp", "epochs=2", *overrides)
    recipe = recipe.model_copy(update={"architecture": start.architecture, "z_dim": start.z_dim})
    config = make_config(recipe, write_npz(tmp_path / "data.npz"))
    return config.model_copy(update={"init_from": start.reference, "init_from_place": "old"})


def tiny_start(tmp_path: Path, name: str = "old") -> StartingModel:
    make_tiny_model_folder(tmp_path / name, image_shape=SHAPE, judge=False)
    return start_of_model(load_model(tmp_path / name))


# --- A model folder -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mnist-conv", "mnist-mlp", "mnist-goodfellow2014-labels"])
def test_the_g_of_a_bundled_model_is_float32_and_draws_the_same_images(tmp_path: Path, name: str):
    """The G of `mnist-conv` is quantised; that of `mnist-mlp` is, too, and its normalisation was folded before."""
    model = load_model(bundled_models_dir() / name)
    start = start_of_model(model)
    assert start.reference == model.reference
    assert start.discriminator is None  # it is a judge
    assert not any(isinstance(layer, Quantised) for layer in start.generator.modules())
    z = torch.from_numpy(draw_latents(3, 0, 64, z_dim=start.z_dim, prior=start.prior))
    with torch.no_grad():
        ours, theirs = start.generator.eval()(z), model.generator(z)
    assert (ours - theirs).abs().mean() < 0.01  # of a range of 2; rounding to 8 bits is left out
    again = read_back(start, tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(floats(start), floats(again), strict=True))


def read_back(
    start: StartingModel, folder: Path, *, reference: str | None = None, missing_bytes: int = 0
) -> StartingModel:
    data = serialise_start(start)
    file = folder / "start.safetensors"
    file.write_bytes(data[: len(data) - missing_bytes])
    return read_start(file, reference=reference or start.reference)


def floats(start: StartingModel) -> list[torch.Tensor]:
    networks = (start.generator, start.discriminator)
    return [t for network in networks if network for t in network.state_dict().values() if t.is_floating_point()]


def test_what_is_kept_in_the_run_folder_comes_back(tmp_path: Path):
    start = tiny_start(tmp_path)
    again = read_back(start, tmp_path)
    for name in ("reference", "architecture", "z_dim", "prior", "image_shape", "ballots", "class_names", "packing"):
        assert getattr(again, name) == getattr(start, name)
    assert serialise_start(again) == serialise_start(start)
    assert again.discriminator is not None


@pytest.mark.parametrize("judge", [True, None])
def test_a_judge_is_not_taken(tmp_path: Path, judge: bool | None):
    """Nor is a D of which nobody knows whether it is one."""
    make_tiny_model_folder(tmp_path / "old", image_shape=SHAPE, judge=judge)
    start = start_of_model(load_model(tmp_path / "old"))
    assert read_back(start, tmp_path).discriminator is None
    config = config_from(start, tmp_path)
    folder = begin(tmp_path / "run", config, start)
    play(folder, config)
    log = folder.log_file.read_text()
    assert f"taken from {start.reference}: layers 0, 1, 3 of G\n" in log
    assert "first weights: D (the model's is a judge, or may be one)\n" in log


def test_a_damaged_or_strange_file_is_refused(tmp_path: Path):
    start = tiny_start(tmp_path)
    with pytest.raises(RunError, match="cannot be loaded") as told:
        read_back(start, tmp_path, missing_bytes=5)
    assert "start it again with `fit --init-from`" in str(told.value)
    with pytest.raises(RunError, match=rf"it holds {start.reference}, and config.json says other@1"):
        read_back(start, tmp_path, reference="other@1")
    with pytest.raises(RunError, match="No such file"):
        read_start(tmp_path / "none", reference="a@1")


# --- A run ----------------------------------------------------------------------------------------


def test_a_run_gives_the_average_of_its_best_state(tmp_path: Path):
    config = make_config(tiny_recipe("mlp", "epochs=2"), write_npz(tmp_path / "data.npz"))
    folder = RunFolder(tmp_path / "first")
    folder.create(config)
    with pytest.raises(RunError, match="has no saved state yet"):
        start_of_run(folder)
    play(folder, config)
    start = start_of_run(folder)
    state = load_file(folder.checkpoint_file)
    assert start.discriminator is not None
    for side, network in (("average", start.generator), ("discriminator", start.discriminator)):
        assert all(torch.equal(t, state[f"{side}.{name}"]) for name, t in network.state_dict().items())
    name, _, digest = start.reference.partition("@")
    assert name == "first"
    assert len(digest) == 12
    assert start_of_run(folder).reference == start.reference
    shutil.copy(folder.checkpoint_file, folder.best_file)
    folder.checkpoint_file.unlink()
    assert start_of_run(folder).reference == start.reference


# --- The new run ----------------------------------------------------------------------------------


def test_the_same_seed_and_model_give_the_same_run_and_the_model_may_go(tmp_path: Path):
    """One run is killed before its first state is saved, when the model is gone already."""
    start = tiny_start(tmp_path)
    config = config_from(start, tmp_path)
    whole, killed = (begin(tmp_path / name, config, start) for name in ("whole", "killed"))
    play(whole, whole.read_config())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunFolder, "write_grid", lambda _self, epoch, _png: 1 / (1 - epoch))  # when epoch 1 is recorded
        with pytest.raises(ZeroDivisionError):
            play(killed, killed.read_config())
    killed.checkpoint_file.unlink()  # as if it had been killed before
    killed.stats_file.unlink()
    shutil.rmtree(tmp_path / "old")
    play(killed, killed.read_config())
    a, b = load_file(whole.checkpoint_file), load_file(killed.checkpoint_file)
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert grid_bytes(whole) == grid_bytes(killed)
    log = whole.log_file.read_text()
    assert f"taken from {start.reference}: layers 0, 1, 3 of G; layers 1, 3 of D" in log
    assert "begun anew, as the recipe draws first weights: nothing" in log
    whole.start_file.unlink()  # it is needed only until the first state is saved
    play(whole, whole.read_config())
    models = [exported_bytes(folder, config, folder.path / "m") for folder in (whole, killed)]
    assert models[0] == models[1]
    metadata = load_model(whole.path / "m").metadata
    assert (metadata.init_from, metadata.format_version) == (start.reference, 5)
    card = (whole.path / "m" / "CARD.md").read_text()
    assert f"| began with | the weights of `{start.reference}` |" in card
    assert "--threads 1 --init-from old" in card


def test_epoch_0_is_what_the_model_draws(tmp_path: Path):
    """The first picture of the run is made with the model's weights, and not with random ones."""
    start = tiny_start(tmp_path)
    config = config_from(start, tmp_path)
    folders = [begin(tmp_path / "a", config, start), RunFolder(tmp_path / "b")]
    plain = config.model_copy(update={"init_from": None, "init_from_place": None})
    folders[1].create(plain)
    for folder in folders:
        play(folder, folder.read_config())
    first, random = (grid_bytes(folder)["00000.png"] for folder in folders)
    assert first != random
    assert first == draw_grid(start.generator.eval(), config, device=torch.device("cpu"))


def test_a_start_that_was_interrupted_leaves_nothing_in_the_way(tmp_path: Path):
    start = tiny_start(tmp_path)
    config = config_from(start, tmp_path)
    folder = begin(tmp_path / "run", config, start)
    folder.config_file.unlink()
    folder.check_new()
    folder.create(config.model_copy(update={"init_from": None, "init_from_place": None}))
    assert not folder.start_file.exists()
    assert json.loads(folder.config_file.read_text())["init_from"] is None


def test_a_lost_start_is_told(tmp_path: Path):
    start = tiny_start(tmp_path)
    config = config_from(start, tmp_path)
    folder = begin(tmp_path / "run", config, start)
    folder.start_file.unlink()
    with pytest.raises(RunError, match=r"start\.safetensors cannot be loaded"):
        play(folder, config)
