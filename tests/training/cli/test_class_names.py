"""The names of classes go from the data, or from `--class-names`, to run, model folder, card and `sample`."""

from pathlib import Path

import numpy as np
import pytest

from models.model_folder.read import load_model
from tests.training.support import TINY_CONV, tiny_images, write_pngs
from training.cli.command_line import main
from training.run.folder import RunFolder

FIT = ("fit", "conv", "--threads", "1", "--epochs", "1", "--features", "wavelets")
SETTINGS = [
    *(setting for setting in TINY_CONV if not setting.startswith(("conditional", "z_dim"))),
    *("conditional=true", "z_dim=8"),
]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def numbered(here: Path) -> Path:
    """40 images of three classes, which are only numbered."""
    np.savez(here / "data.npz", images=tiny_images(40), labels=np.arange(40) % 3)
    return here / "data.npz"


def fit(data: Path, *options: str) -> int:
    return main([*FIT, "--data", str(data), "--out", "run", *options, "--set", *SETTINGS])


def export(*options: str) -> int:
    return main(["export", "run", "--to", "model", *options])


def test_folders_give_the_names(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number, name in enumerate(("cat", "dog, black", "Käfer")):
        write_pngs(here / "pets" / name, tiny_images(14, seed=number))
    assert fit(here / "pets") == export() == 0
    model = load_model(here / "model")
    assert model.metadata.class_names == ("Käfer", "cat", "dog, black")
    assert "3 classes: Käfer, cat, dog, black" in model.card
    assert "--class-names" not in model.card
    capsys.readouterr()
    assert main(["sample", "model", "--n", "4", "--class", "Käfer", "-o", "g.png"]) == 0
    assert "(requested class: Käfer)" in capsys.readouterr().out


def test_names_for_data_that_number_their_classes(numbered: Path, here: Path) -> None:
    assert fit(numbered, "--class-names", "circle, square,triangle") == 0
    config = RunFolder(here / "run").read_config()
    assert (config.class_names, config.classes_renamed) == (("circle", "square", "triangle"), True)
    assert main(["resume", "run", "--epochs", "2"]) == export() == 0
    model = load_model(here / "model")
    assert model.metadata.class_names == ("circle", "square", "triangle")
    assert "--class-names circle,square,triangle" in model.card


def test_export_gives_names_to_a_run_without(numbered: Path, here: Path) -> None:
    assert fit(numbered) == export() == 0
    plain = load_model(here / "model")
    assert plain.metadata.class_names == ("0", "1", "2")
    assert export("--class-names", "circle,square,triangle") == 0
    named = load_model(here / "model")
    assert named.metadata.class_names == ("circle", "square", "triangle")
    assert RunFolder(here / "run").read_config().class_names == ("0", "1", "2")
    for name, tensor in plain.generator.state_dict().items():
        assert (named.generator.state_dict()[name] == tensor).all()


def test_a_wrong_number_of_names(numbered: Path, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fit(numbered, "--class-names", "circle,square") == 1
    told = "--class-names has 2 names, but data has 3 classes: give one name for each class"
    assert told in capsys.readouterr().err
    assert not (here / "run").exists()
    assert fit(numbered) == 0
    assert export("--class-names", "a,b,c,d") == 1
    assert "--class-names has 4 names, but data has 3 classes" in capsys.readouterr().err
    assert not (here / "model").exists()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("a,,b", "a name has 1 to 200 printable characters, not ''"),
        ("a,b\nc", "not 'b\\nc'"),
        ("a,b,a", "the names must differ, but one occurs twice"),
        ("x" * 201 + ",y", "1 to 200"),
    ],
)
def test_names_that_are_none(numbered: Path, capsys: pytest.CaptureFixture[str], names: str, message: str) -> None:
    with pytest.raises(SystemExit):
        fit(numbered, "--class-names", names)
    assert message in capsys.readouterr().err
