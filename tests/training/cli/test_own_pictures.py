"""Pictures as people have them, from `fit` to `evaluate`: every command reads the data as the run began with them."""

import json
from pathlib import Path

import pytest

from models.model_folder.read import load_model
from tests.training.data.test_archives import CONTENTS, zipped
from tests.training.support import TINY_MLP, judge_few_samples, sets, tiny_images, write_pngs
from training.cli.command_line import main
from training.config import RunConfig
from training.data import cache
from training.run.folder import RunFolder

QUICK = ["--epochs", "1", "--threads", "1", *sets(TINY_MLP)]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder; the cache of this person is in it."""
    judge_few_samples(monkeypatch)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    return tmp_path


def wide(folder: Path, n: int = 40) -> Path:
    """Write pictures that are not square."""
    return write_pngs(folder, tiny_images(n, 24)[:, :16])


def error_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    assert main(list(arguments)) == 1
    return capsys.readouterr().err


def config_of(run: str = "r") -> RunConfig:
    return RunFolder(Path(run)).read_config()


def test_padded_pictures_with_labels_from_fit_to_evaluate(here: Path, capsys: pytest.CaptureFixture[str]):
    wide(here / "pets" / "train")
    labels = here / "mine.csv"
    labels.write_text("file,label\n" + "".join(f"{n:03d}.png,{('cat', 'dog')[n % 2]}\n" for n in range(40)))
    reading = ["--fit", "pad", "--labels", "mine.csv"]
    assert main(["fit", "mlp", "--data", "pets/train", *reading, "--out", "r", *QUICK, "--set", "image_side=16"]) == 0
    config = config_of()
    assert (config.picture_fit, config.labels_path, config.dataset) == ("pad", str(labels), "pets")
    assert config.class_names == ("cat", "dog")
    assert "data: 40 image(s) are not square; the whole of each was kept" in Path("r/log.txt").read_text()
    assert main(["resume", "r"]) == 0
    assert main(["export", "r", "--to", "m"]) == 0
    assert load_model(Path("m")).metadata.dataset == "pets"

    capsys.readouterr()
    assert main(["evaluate", "m", "--data", "pets/train", "--labels", "mine.csv", "--json"]) == 0
    told = capsys.readouterr()
    assert "nearest_training" in json.loads(told.out)  # it found that these are the model's data
    assert "note: the images" not in told.err
    assert main(["evaluate", "m", "--data", "pets/train", "--fit", "crop", "--labels", "mine.csv", "--json"]) == 0
    told = capsys.readouterr()
    assert "nearest_training" not in json.loads(told.out)
    assert "note: the images" in told.err

    labels.rename(here / "moved.csv")
    assert "the labels " in error_of(capsys, "resume", "r")
    assert main(["resume", "r", "--labels", "moved.csv"]) == 0
    changed = (here / "moved.csv").read_text().replace("001.png,dog", "001.png,cat")
    (here / "moved.csv").write_text(changed)
    assert "are not those that the run began with" in error_of(
        capsys, "export", "r", "--to", "n", "--labels", "moved.csv"
    )


def test_pictures_that_are_not_square_name_the_options(here: Path, capsys: pytest.CaptureFixture[str]):
    wide(here / "d")
    message = error_of(capsys, "fit", "mlp", "--data", "d", *QUICK)
    assert "d/000.png is 24 × 16 pixels; images must be square" in message
    assert "`--set image_side=32`" in message
    assert "`--fit pad` the whole" in message
    assert main(["fit", "mlp", "--data", "d", "--fit", "crop", "--out", "r", *QUICK]) == 0
    assert config_of().image_shape.height == 16


def test_a_run_of_an_older_release_goes_on_by_its_rules(here: Path, capsys: pytest.CaptureFixture[str]):
    """It looked for no file of labels, cropped pictures, and named the data by the folder alone."""
    wide(here / "data" / "images")
    assert main(["fit", "mlp", "--data", "data/images", "--out", "r", *QUICK, "--set", "image_side=16"]) == 0
    file = Path("r/config.json")
    settings = json.loads(file.read_text())
    for new in ("picture_fit", "labels_path"):
        del settings[new]
    file.write_text(json.dumps(settings | {"data_rule": 2, "dataset": "images"}))
    (here / "data" / "images" / "labels.csv").write_text(
        "file,label\n" + "".join(f"{n:03d}.png,{n % 2}\n" for n in range(40))
    )
    assert main(["resume", "r"]) == 0
    assert main(["export", "r", "--to", "m"]) == 0
    capsys.readouterr()
    assert main(["evaluate", "m", "--data", "data/images", "--json"]) == 0
    assert "nearest_training" in json.loads(capsys.readouterr().out)
    file.write_text(json.dumps(settings | {"data_rule": 3}))
    assert "are not those that the run began with" in error_of(capsys, "resume", "r")


def test_a_zip_moves_with_its_run(here: Path):
    zipped(here / "pets.zip", CONTENTS["classes"])
    assert main(["fit", "mlp", "--data", "pets.zip", "--name", "My pets", "--out", "r", *QUICK]) == 0
    assert config_of().dataset == "My pets"
    (here / "pets.zip").rename(here / "moved.zip")
    assert main(["resume", "r", "--data", "moved.zip"]) == 0
    assert main(["export", "r", "--to", "m", "--data", "moved.zip"]) == 0
    assert load_model(Path("m")).metadata.dataset == "My pets"


@pytest.mark.parametrize("name", ["", " ", "a\nb", "x" * 101])
def test_names_that_are_none(capsys: pytest.CaptureFixture[str], name: str):
    with pytest.raises(SystemExit):
        main(["fit", "mlp", "--name", name])
    assert "argument --name: must " in capsys.readouterr().err


def test_the_cache_is_where_it_should_be(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(cache, "FEW_PICTURES", 20)
    write_pngs(here / "d", tiny_images())
    (here / "d" / "broken.png").write_bytes(b"x")
    fit = ["fit", "mlp", "--data", "d", *QUICK]
    assert main([*fit, "--out", "a", "--no-cache"]) == 0
    assert not (here / "xdg").exists()
    assert main([*fit, "--out", "b"]) == 0
    (entry,) = (here / "xdg" / "gan-service" / "pictures").iterdir()
    assert f"data: the decoded pictures are kept in the cache {entry} (0 MB)" in Path("b/log.txt").read_text()
    assert main([*fit, "--out", "c", "--cache-dir", "mine"]) == 0
    assert [path.name for path in (here / "mine").iterdir()] == [entry.name]
    assert config_of("a").data_sha256 == config_of("b").data_sha256 == config_of("c").data_sha256
    assert len({Path(f"{run}/grids/00001.png").read_bytes() for run in "abc"}) == 1
    assert main(["resume", "b"]) == 0
    assert main(["export", "b", "--to", "m"]) == 0
    capsys.readouterr()
    assert main(["evaluate", "m", "--data", "d", "--json"]) == 0
    assert "are read from the cache" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*fit, "--no-cache", "--cache-dir", "mine"])
