"""`--features`: one network from `fit` over `export` to `evaluate`, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import save_file

from models.model_folder.destination import check_destination
from models.model_folder.read import load_model
from tests.training.evaluation.learned.support import labelled_images
from tests.training.evaluation.learned.test_dinov2 import stand_in
from tests.training.support import TINY_MLP, judge_few_samples, sets
from training.cli.command_line import main
from training.evaluation.learned import learning, obtain
from training.run.folder import RunFolder

FIT = ["fit", "mlp", "--data", "data.npz", "--epochs", "1", "--threads", "1", *sets(TINY_MLP)]
MEASURED = ["--set", "metrics_every_epochs=1"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with 60 labelled images; a network for features is trained in three steps."""
    judge_few_samples(monkeypatch)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(learning, "MIN_STEPS", 3)
    monkeypatch.setattr(learning, "MOST_PASSES", 1)
    images, labels = labelled_images(60)
    np.savez(tmp_path / "data.npz", images=images[:, 0].numpy(), labels=labels.numpy())
    return tmp_path


def test_a_run_its_model_and_an_evaluation_use_one_network(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    assert main([*FIT, *MEASURED, "--out", "r", "--features", "classifier"]) == 0
    folder = RunFolder(here / "r")
    network = folder.features_file.read_bytes()
    assert folder.read_config().features == "classifier"
    log = folder.log_file.read_text()
    assert "features: 1 of 1: a classifier learns the classes\n" in log
    (name,) = {line.partition("in these features: ")[2] for line in log.splitlines() if "in these features" in line}
    assert name.startswith("own classifier, accuracy 0.")

    monkeypatch.setattr(obtain, "train_own_classifier", None)  # no other is trained from here on
    assert main(["export", "r", "--to", "model"]) == 0
    assert (here / "model" / "features.safetensors").read_bytes() == network
    assert check_destination(here / "model")  # the file is part of the folder, which may be replaced
    model = load_model(here / "model")
    accuracy = model.metadata.evaluation["own_classifier_accuracy"]
    assert name == f"own classifier, accuracy {accuracy:.3f}"
    card = (here / "model" / "CARD.md").read_text()
    assert f"Fréchet distance, {name}" in card
    assert f"the class of {accuracy:.1%} of the held-out images" in " ".join(card.split())
    assert card.count(" --features classifier") == 2  # of `fit` and of `evaluate`

    capsys.readouterr()
    assert main(["evaluate", "model", "--data", "data.npz", "--json", "--features", "classifier"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["features"] == name
    assert told["own_classifier_accuracy"] == pytest.approx(accuracy)
    assert told["frechet"] == pytest.approx(model.metadata.evaluation["frechet"], rel=1e-4)
    assert told["frechet_real"] > 0


def test_a_run_that_measures_nothing_makes_its_network_at_export(here: Path):
    assert main([*FIT, "--out", "r", "--features", "self-supervised"]) == 0
    assert not (here / "r" / "features.safetensors").exists()
    assert main(["export", "r", "--to", "model"]) == 0
    assert "self_supervised_accuracy" in load_model(here / "model").metadata.evaluation
    assert (here / "model" / "features.safetensors").exists()


def test_small_data_and_wavelets_need_no_network(here: Path, capsys: pytest.CaptureFixture[str]):
    for number, option in enumerate(([], ["--features", "wavelets"])):
        assert main([*FIT, *MEASURED, "--out", f"r{number}", *option]) == 0
        assert not (here / f"r{number}" / "features.safetensors").exists()
        assert RunFolder(here / f"r{number}").read_config().features == "built-in"
        assert "because a classifier of 3 classes needs 1,000 training images" in capsys.readouterr().err


def test_a_damaged_network_is_named(here: Path, capsys: pytest.CaptureFixture[str]):
    assert main([*FIT, *MEASURED, "--out", "r", "--features", "classifier"]) == 0
    (here / "r" / "features.safetensors").write_bytes(b"nothing")
    assert main(["export", "r", "--to", "model"]) == 1
    assert "features.safetensors cannot be read" in capsys.readouterr().err
    assert not (here / "model").exists()


def test_dinov2_from_a_local_file(here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    from training.evaluation.learned import dinov2

    monkeypatch.setattr(dinov2, "SIDE", 70)  # the stand-in's 5 × 5 patches
    save_file(stand_in(), here / "weights.safetensors")
    assert main([*FIT, "--out", "r"]) == 0
    assert main(["export", "r", "--to", "model"]) == 0
    capsys.readouterr()
    command = ["evaluate", "model", "--data", "data.npz", "--features", "dinov2"]
    assert main([*command, "--weights", "weights.safetensors"]) == 0
    told = capsys.readouterr().out
    assert "Fréchet distance, DINOv2, 128 features" in told
    assert "FD-DINOv2" in " ".join(told.split())
    assert main(command) == 2
    assert "--features dinov2 needs the weights of a DINOv2" in capsys.readouterr().err
    assert main([*command[:-2], "--weights", "weights.safetensors"]) == 2
    assert "--weights is only for --features dinov2, not for auto" in capsys.readouterr().err
    assert main([*command, "--weights", "nowhere"]) == 1
    assert "nowhere cannot be read as a safetensors file" in capsys.readouterr().err


def test_digits_refuse_other_features(here: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["fit", "mlp", "--features", "wavelets", "--out", "r"]) == 2
    assert "mnist is compared in the digit classifier's features" in capsys.readouterr().err
    assert not (here / "r").exists()
