"""`fit --init-from` and `resume --epochs`, `--minutes`, as a person types them."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from harness.tiny_models import STEEP, make_tiny_model_folder
from models.images import ImageShape
from models.model_folder.read import load_model
from models.networks.conv import Conv
from models.networks.residual import Residual
from tests.training.support import BARE_GAME, judge_few_samples, sets, tiny_images, write_npz
from training.cli.command_line import main
from training.run.folder import RunFolder

OWN = [setting for setting in BARE_GAME if not setting.startswith("z_dim")]
FIT = ["fit", "mlp", "--data", "data.npz", "--out", "r", "--threads", "1", "--epochs", "1", *sets(OWN)]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with data.npz and the model folder `old`, an `mlp` for images of 16 × 16."""
    judge_few_samples(monkeypatch)
    monkeypatch.chdir(tmp_path)
    write_npz(tmp_path / "data.npz")
    make_tiny_model_folder(tmp_path / "old", image_shape=ImageShape(height=16, width=16), judge=False)
    return tmp_path


def ends_with(code: int, *arguments: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Run a command that must end with this exit code; return what it printed on standard error."""
    capsys.readouterr()
    assert main(list(arguments)) == code
    return capsys.readouterr().err


def log_of(folder: Path) -> str:
    return (folder / "log.txt").read_text()


def test_a_model_a_run_and_the_way_to_a_model_folder(here: Path, capsys: pytest.CaptureFixture[str]):
    told = ends_with(0, *FIT, "--init-from", "old", capsys=capsys)
    reference = load_model(here / "old").reference
    assert (
        f"the networks are those of {reference}: z_dim=8 (the recipe: 100), architecture.generator_widths=[12]" in told
    )
    config = json.loads((here / "r" / "config.json").read_text())
    assert (config["init_from"], config["init_from_place"], config["recipe"]["z_dim"]) == (reference, "old", 8)
    assert f"taken from {reference}: layers 0, 1, 3 of G; layers 1, 3 of D" in log_of(here / "r")
    ends_with(0, *[text if text != "r" else "r2" for text in FIT], "--init-from", "r", capsys=capsys)
    log = log_of(here / "r2")
    assert re.search(r"taken from r@[0-9a-f]{12}: layers 0, 1, 3 of G; layers 1, 3 of D", log)
    assert main(["resume", "r2", "--epochs", "2"]) == 0
    assert main(["export", "r2", "--to", "new"]) == 0
    metadata = load_model(here / "new").metadata
    assert metadata.init_from is not None
    assert metadata.init_from.startswith("r@")
    assert (metadata.epochs, metadata.format_version) == (2, 5)
    assert main(["judge", "new", "--to", "judged", "--steps", "1", "--data", "data.npz"]) == 0
    assert load_model(here / "judged").metadata.init_from == metadata.init_from


@pytest.mark.parametrize(("side", "channels", "classes"), [(24, 3, 4), (16, 1, 0), (20, 1, 12), (64, 3, 0), (16, 3, 2)])
def test_other_sides_colours_and_classes(
    here: Path, side: int, channels: int, classes: int, capsys: pytest.CaptureFixture[str]
):
    """The model is quantised, has three classes, and a tone curve, which the new model does not get."""
    sizes = Conv(generator_widths=(10,), generator_channels=(6, 4), discriminator_channels=(4, 6), maxout_units=(5,))
    shape = ImageShape(height=16, width=16)
    make_tiny_model_folder(
        here / "three",
        z_dim=14,
        image_shape=shape,
        architecture=sizes,
        classes=3,
        quantised=True,
        tone_curve=STEEP,
        judge=False,
    )
    images = tiny_images(40, side, channels=channels)
    if classes:
        np.savez(here / "data.npz", images=images, labels=np.arange(40) % classes)
    else:
        np.savez(here / "data.npz", images=images)
    fit = ["conv" if text == "mlp" else text for text in FIT]
    conditional = f"conditional={'true' if classes else 'false'}"
    ends_with(0, *fit, "--set", conditional, "--init-from", "three", capsys=capsys)
    log = log_of(here / "r")
    (taken,) = re.findall(r"taken from three@.*", log)
    (anew,) = re.findall(r"begun anew.*", log)
    assert "layers" in taken
    assert "nothing" not in anew
    noise = min(14 - classes, 14 - 3)
    kept = f" and of {min(classes, 3)} classes of the same names" if classes else ""
    assert f"of G the inputs of {noise} coordinates of noise{kept}" in taken
    assert (f"the logits of {min(classes, 3)} classes of the same names" in taken) is (classes > 0)
    assert main(["export", "r", "--to", "new"]) == 0
    assert load_model(here / "new").metadata.tone_curve is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--init-from", "nowhere"], "nowhere is not a folder; name a model folder"),
        (["--init-from", "data.npz"], "is not a folder; name a model folder"),
        (
            ["--init-from", "old", "--set", "architecture.generator_widths=[13]"],
            r"of old@\w+: architecture.generator_widths is \[13\], and the model's is \[12\]: leave this out of --set",
        ),
        (
            ["--init-from", "old", "--set", "clusters=9"],
            r"with old@\w+ has 1 mistake\(s\):\s+clusters is 9 and z_dim 8",
        ),
    ],
)
def test_what_does_not_fit_is_told_and_nothing_is_written(
    here: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
):
    assert re.search(message, ends_with(1, *FIT, *arguments, capsys=capsys))
    assert not (here / "r").exists()


def test_a_recipe_of_other_networks_is_told(here: Path, capsys: pytest.CaptureFixture[str]):
    fit = ["conv" if text == "mlp" else text for text in FIT]
    told = ends_with(1, *fit, "--init-from", "old", capsys=capsys)
    assert re.search(
        r"the model old@\w+ has networks of the architecture 'mlp', and the recipe 'conv' has 'conv': use one of the "
        "recipes mlp, writeup",
        told,
    )


def test_an_empty_name_is_told(here: Path, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        main([*FIT, "--init-from", ""])
    assert ended.value.code == 2
    assert "--init-from: must not be empty" in capsys.readouterr().err


def test_settings_that_are_no_sizes_stay_the_persons(here: Path):
    assert main([*FIT, "--init-from", "old", "--set", "architecture.leaky_slope=0.1", "z_dim=6", "prior=uniform"]) == 0
    recipe = RunFolder(here / "r").read_config().recipe
    assert (recipe.z_dim, recipe.prior) == (6, "uniform")
    assert recipe.architecture.model_dump()["leaky_slope"] == 0.1


def test_dry_run_names_the_model_and_writes_nothing(here: Path, capsys: pytest.CaptureFixture[str]):
    assert main([*FIT, "--init-from", "old", "--dry-run"]) == 0
    assert f'"init_from": "{load_model(here / "old").reference}"' in capsys.readouterr().out
    assert not (here / "r").exists()


# --- resume with a new length ---------------------------------------------------------------------


def test_a_finished_run_goes_on(here: Path, capsys: pytest.CaptureFixture[str]):
    assert main(FIT) == 0
    told = ends_with(0, "resume", "r", capsys=capsys)
    assert "To train longer, give `resume` the new length of the whole run: `--epochs N` or `--minutes M`" in told
    told = ends_with(2, "resume", "r", "--epochs", "1", capsys=capsys)
    assert "--epochs 1 is the length of the whole run, which has trained 1 epochs already: give more than 1" in told
    assert not RunFolder(here / "r").read_config().extensions
    told = ends_with(0, "resume", "r", "--epochs", "3", capsys=capsys)
    assert "extended after epoch 1: the run goes on to epoch 3 (before: 1)" in told
    assert "from step 4 on, learning rates are those of a run of 3 epochs: G 0 → 0.000533333, D 0 → " in told
    assert re.search(r"epoch 3/3 .*\n.*finished: 3 epochs, 108 images", told)
    told = ends_with(0, "resume", "r", capsys=capsys)
    assert "this run has trained all its 3 epochs; nothing is left to train" in told
    assert "epochs" in ends_with(2, "resume", "r", "--epochs", "3", capsys=capsys)
    told = ends_with(2, "resume", "r", "--minutes", "1e-9", capsys=capsys)
    assert "--minutes 1e-09 is the length of the whole run, which has trained for" in told
    assert [e.epochs for e in RunFolder(here / "r").read_config().extensions] == [3]


def test_a_wrong_length_is_told(here: Path, capsys: pytest.CaptureFixture[str]):
    for arguments in (["--epochs", "0"], ["--minutes", "0"], ["--epochs", "2", "--minutes", "3"]):
        with pytest.raises(SystemExit) as ended:
            main(["resume", "r", *arguments])
        assert ended.value.code == 2
    assert "not allowed with argument" in capsys.readouterr().err


def test_other_images_leave_the_length_as_it_was(here: Path, capsys: pytest.CaptureFixture[str]):
    assert main(FIT) == 0
    write_npz(here / "data.npz", tiny_images(40, seed=9))
    told = ends_with(1, "resume", "r", "--epochs", "3", capsys=capsys)
    assert "are not those that the run began with" in told
    assert not RunFolder(here / "r").read_config().extensions


def test_a_run_that_has_no_state_yet_gets_a_new_length(here: Path):
    assert main(FIT) == 0
    folder = RunFolder(here / "r")
    for path in (folder.checkpoint_file, folder.stats_file):
        path.unlink()
    assert main(["resume", "r", "--epochs", "2"]) == 0
    (extension,) = folder.read_config().extensions
    assert (extension.after_epoch, extension.after_step) == (0, 0)
    assert len(folder.stats_file.read_text().splitlines()) == 2


def test_automatic_settings_still_follow_the_images(here: Path, capsys: pytest.CaptureFixture[str]):
    """The model gives `z_dim`; everything else that the recipe calls "auto" follows from the data, as without it."""
    np.savez(here / "labelled.npz", images=tiny_images(40), labels=np.arange(40) % 3)
    shape = ImageShape(height=16, width=16)
    tiny = Residual(generator_channels=2, discriminator_channels=2, group_width=2)
    make_tiny_model_folder(here / "old", z_dim=20, image_shape=shape, architecture=tiny, judge=False)
    own = ["architecture.generator_channels=2", "architecture.discriminator_channels=2", "architecture.group_width=2"]
    fit = ["fit", "photos", "--data", "labelled.npz", "--threads", "1", "--set", "batch_size=8", "judge_steps=0"]
    recipes = []
    for number, begin in enumerate(([], ["--init-from", "old"])):
        command = [*fit, *own, "metrics_every_epochs=0", "--minutes", "0.0001", "--out", str(number), *begin]
        ends_with(0, *command, "--dry-run", capsys=capsys)
        ends_with(0, *command, capsys=capsys)
        recipes.append(json.loads((here / str(number) / "config.json").read_text())["recipe"])
    alone, begun = recipes
    assert (alone.pop("z_dim"), begun.pop("z_dim")) == (67, 20)
    assert begun == alone
    assert (begun["conditional"], begun["r1_gamma"], begun["epochs"]) == (True, 0.125, 3000)
