"""The command line: whole chains of commands run as real processes, single messages are tested in this process."""

import argparse
import errno
import fcntl
import json
import os
import re
import shlex
import shutil
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import count, pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from harness.tiny_models import make_tiny_model_folder
from models.grids import assemble_grid
from models.images import ImageShape
from models.inference.sampler import Sampler
from models.latents import draw_latents
from models.model_folder.destination import check_destination
from models.model_folder.read import load_model
from models.networks.conditional import ask_for_class
from tests.processes import interruptible
from tests.training.support import (
    ROOT,
    TINY,
    TINY_MLP,
    exported_bytes,
    judge_few_samples,
    run,
    sets,
    tiny_images,
    write_npz,
    write_pngs,
)
from training.cli.command_line import main, make_parser
from training.cli.fit import suggest_model_folder
from training.cli.inputs import load_model_data
from training.cli.output_file import HTML_PAGE, PNG, check_output_file
from training.cli.sample import MAX_GRID_IMAGES
from training.config import RunConfig
from training.data.dataset import Dataset
from training.errors import NotFiniteError
from training.gan.game import Game
from training.recipe import FOLDER, load_recipe
from training.run import loop
from training.run.folder import RunFolder
from training.run.lock import only_writer
from training.run.monitor import Monitor
from training.run.progress import Progress

QUICK = ["--threads", "1", *sets(TINY_MLP)]
FIGURES = ("loss_d", "loss_g", "d_real", "d_fake", "value")


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data.npz, the finished run runs/mlp, and the model models/mine that real processes made from it."""
    root = tmp_path_factory.mktemp("chain")
    write_npz(root / "data.npz")
    fit = run("fit", "mlp", "--data", "data.npz", "--epochs", "3", "--seed", "11", *QUICK, cwd=root)
    assert fit.returncode == 0, fit.stderr
    assert fit.stdout == "next: python -m training export runs/mlp --to exported/mlp\n"
    assert "Traceback" not in fit.stderr
    assert fit.stderr.lower().count("warning") == 3  # of few images, and none of a library
    export = run("export", "runs/mlp", "--to", "models/mine", cwd=root)
    assert export.returncode == 0, export.stderr
    first, evaluating, wrote = export.stdout.splitlines()
    assert first.startswith("exporting runs/mlp: this reads the images, evaluates G and D and writes models/mine; it ")
    assert evaluating == "evaluating G and D: 10,000 samples, 4 held-out images"
    assert wrote.startswith("wrote mine@")
    assert export.stderr == ""
    return root


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder with data.npz in it; commands that run in this process judge few samples."""
    judge_few_samples(monkeypatch)
    monkeypatch.chdir(tmp_path)
    write_npz(tmp_path / "data.npz")
    return tmp_path


Fails = Callable[..., str]


@pytest.fixture
def fails(capsys: pytest.CaptureFixture[str]) -> Fails:
    """Run a command that must exit with code 1 and print one message; return the message."""

    def check(*arguments: str | Path) -> str:
        capsys.readouterr()
        assert main([str(argument) for argument in arguments]) == 1
        stderr = capsys.readouterr().err
        before, error, message = stderr.partition("error: ")
        assert error, stderr
        assert "error: " not in message
        assert "Traceback" not in stderr
        assert all(re.match(r"(started|resumed|epoch|alarm|warning:|data:) ", line) for line in before.splitlines()), (
            before
        )
        return message.strip()

    return check


def pixels(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.asarray(image)


# --- The run folder ---------------------------------------------------------------------------------


def test_a_run_folder_explains_itself(chain: Path):
    folder = RunFolder(chain / "runs" / "mlp")
    assert {path.name for path in folder.path.iterdir()} == {
        "config.json",
        "log.txt",
        "stats.jsonl",
        "grids",
        "curves.png",
        "tensorboard",
        "checkpoint.safetensors",
    }
    assert {path.name for path in folder.grids.iterdir()} == {"00000.png", "00001.png", "00002.png", "00003.png"}


def test_the_configuration_leaves_nothing_open(chain: Path):
    config = json.loads((chain / "runs" / "mlp" / "config.json").read_text())
    assert config["recipe"]["z_dim"] == 4
    assert config["recipe"]["epochs"] == 3
    assert config["recipe"]["generator_optimiser"] == load_recipe("mlp").generator_optimiser.model_dump()
    assert config["recipe"]["precision"] in {"float32", "bfloat16"}
    assert (config["data"], config["dataset"], config["seed"], config["threads"]) == ("data.npz", "data", 11, 1)
    assert (config["train_images"], config["held_out_images"]) == (36, 4)
    assert re.fullmatch("[0-9a-f]{64}", config["data_sha256"])
    assert set(config) == set(RunConfig.model_fields)
    assert config["overrides"] == [*TINY_MLP, "epochs=3"]


def test_stats_and_log(chain: Path):
    records = [json.loads(line) for line in (chain / "runs" / "mlp" / "stats.jsonl").read_text().splitlines()]
    assert [record["epoch"] for record in records] == [1, 2, 3]
    assert [record["images"] for record in records] == [36, 72, 108]
    for record in records:
        assert record["value"] == pytest.approx(-2 * record["loss_d"])
        assert 0 < record["d_fake"] < 1
        assert 0 < record["d_real"] < 1
    log = (chain / "runs" / "mlp" / "log.txt").read_text().splitlines()
    assert [re.sub(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", "", line).split()[0] for line in log] == [
        *("warning:", "warning:", "warning:"),  # of few images
        "started",
        "epoch",
        "epoch",
        "epoch",
        "finished:",
    ]
    assert "images/s" in log[4]


def test_the_grids_are_of_fixed_latents_and_begin_with_the_untrained_g(chain: Path):
    pictures = [pixels(path) for path in sorted((chain / "runs" / "mlp" / "grids").iterdir())]
    assert {picture.shape for picture in pictures} == {(8 * 18 + 2, 8 * 18 + 2)}
    for before, after in pairwise(pictures):
        assert not np.array_equal(before, after)
    model = load_model(chain / "models" / "mine")
    sampler = Sampler(model.generator, z_dim=4, image_shape=model.metadata.image_shape)
    latents = draw_latents(0, 0, 64, z_dim=4, prior="normal")
    np.testing.assert_array_equal(pictures[-1], assemble_grid(sampler(latents), padding=2))


def test_the_curves_and_the_events(chain: Path):
    from tensorboard.backend.event_processing.event_accumulator import (  # type: ignore[import-untyped]
        EventAccumulator,
    )

    with Image.open(chain / "runs" / "mlp" / "curves.png") as curves:
        curves.load()
        assert curves.width > 500
    records = [json.loads(line) for line in (chain / "runs" / "mlp" / "stats.jsonl").read_text().splitlines()]
    events = EventAccumulator(str(chain / "runs" / "mlp" / "tensorboard"))
    events.Reload()
    assert set(events.Tags()["scalars"]) == set(FIGURES)
    for name in FIGURES:
        scalars = events.Scalars(name)
        assert [scalar.step for scalar in scalars] == [1, 2, 3]
        assert [scalar.value for scalar in scalars] == pytest.approx([record[name] for record in records], rel=1e-6)


# --- resume -----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_resume_of_a_finished_run_changes_no_byte_of_its_export(chain: Path):
    folder = RunFolder(chain / "runs" / "mlp")
    kept = ["config.json", "checkpoint.safetensors", "stats.jsonl"]
    before = {name: (folder.path / name).read_bytes() for name in kept}
    grids = {path.name: path.read_bytes() for path in folder.grids.iterdir()}
    model = exported_bytes(folder, _config_at(chain), chain / "before" / "m")
    done = run("resume", "runs/mlp", cwd=chain)
    assert done.returncode == 0, done.stderr
    assert {name: (folder.path / name).read_bytes() for name in kept} == before
    assert {path.name: path.read_bytes() for path in folder.grids.iterdir()} == grids
    assert exported_bytes(folder, _config_at(chain), chain / "after" / "m") == model


def _config_at(chain: Path) -> RunConfig:
    config = RunFolder(chain / "runs" / "mlp").read_config()
    return config.model_copy(update={"data": str(chain / "data.npz")})


def test_resume_refuses_other_data(here: Path, fails: Fails):
    assert main(["fit", "mlp", "--data", "data.npz", "--epochs", "1", *QUICK]) == 0
    images = tiny_images()
    images[17, 3, 3] ^= 1
    write_npz(here / "data.npz", images)
    assert fails("resume", "runs/mlp") == (
        "the images of 'data.npz' are not those that the run began with; the run cannot be resumed or exported without "
        "them: if they are elsewhere now, name the place with --data"
    )
    (here / "data.npz").unlink()
    assert fails("resume", "runs/mlp") == (
        f"there is no data at '{here}/data.npz', where the run's images were when it began: if they have moved, name "
        "their new place with --data"
    )


@pytest.mark.parametrize("data", [".", "pictures"])
def test_a_run_and_a_model_inside_their_data_are_not_data(here: Path, capsys: pytest.CaptureFixture[str], data: str):
    """Both hold pictures, which must neither become a class nor make the data differ from those the run began with."""
    root = here / data
    write_pngs(root / "cat", tiny_images(20))
    write_pngs(root / "dog", tiny_images(20, seed=1))
    run_folder, model = root / "runs" / "mlp", root / "exported" / "mlp"
    command = ["fit", "mlp", "--data", data, "--epochs", "1", *QUICK]
    assert main([*command, "--out", str(run_folder), "--set", "grid_every_epochs=1"]) == 0
    assert main(["resume", str(run_folder)]) == 0
    assert main(["export", str(run_folder), "--to", str(model)]) == 0
    assert main(["export", str(run_folder), "--to", str(model)]) == 0
    capsys.readouterr()
    assert main([*command, "--out", "second"]) == 0
    assert "data: ignored 2 folder(s) that hold a run or a model: " in capsys.readouterr().err
    first, second = RunFolder(run_folder).read_config(), RunFolder(here / "second").read_config()
    assert (second.data_sha256, second.class_names) == (first.data_sha256, ("cat", "dog"))


def test_resume_of_no_run(here: Path, fails: Fails):
    assert "nowhere is not a run folder, because it has no config.json" in fails("resume", "nowhere")
    assert "is not a run folder" in fails("export", "nowhere", "--to", "m")


def test_resume_of_damaged_runs(here: Path, chain: Path, fails: Fails):
    shutil.copytree(chain / "runs", here / "runs")
    config, state = here / "runs/mlp/config.json", here / "runs/mlp/checkpoint.safetensors"
    whole, saved = config.read_text(), state.read_bytes()
    for damage in ("", whole[:100], whole.replace('"seed": 11', '"seed": -1'), whole.replace('"cpu"', '"tpu"')):
        config.write_text(damage)
        assert "config.json is damaged: " in fails("resume", "runs/mlp")
    config.write_bytes(b"\xff\xfe\x00")
    assert "config.json is damaged: " in fails("resume", "runs/mlp")
    config.write_text(whole)
    for cut in (0, 10, len(saved) // 2):
        state.write_bytes(saved[:cut])
        assert "checkpoint.safetensors cannot be loaded: " in fails("resume", "runs/mlp")
        assert "checkpoint.safetensors cannot be loaded: " in fails("export", "runs/mlp", "--to", "m")
    assert not (here / "m").exists()


def test_resume_where_the_device_is_not(here: Path, chain: Path, fails: Fails, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    shutil.copytree(chain / "runs", here / "runs")
    config = here / "runs/mlp/config.json"
    config.write_text(config.read_text().replace('"cpu"', '"cuda"'))
    message = fails("resume", "runs/mlp")
    assert message.startswith("the run began on the device 'cuda', and device 'cuda' was asked for, but torch ")
    assert message.endswith("resume it on a machine that has one, or start a new run with `fit` and `--device cpu`")


# --- fit --------------------------------------------------------------------------------------------


def test_dry_run_says_everything_and_writes_nothing(here: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["fit", "mlp", "--data", "data.npz", "--epochs", "7", *QUICK, "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "would train 7 epochs of 4 steps in runs/mlp; nothing was written (--dry-run)" in said
    assert json.loads(said[: said.rindex("}") + 1])["recipe"]["epochs"] == 7
    assert sorted(path.name for path in here.iterdir()) == ["data.npz"]


def test_dry_run_refuses_what_fit_refuses(
    here: Path, fails: Fails, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """Both make the same checks and print the same message, and neither writes anything."""
    (here / "run").mkdir()
    (here / "run" / "config.json").touch()
    (here / "other").mkdir()
    (here / "other" / "notes.txt").touch()
    (here / "file").touch()
    (here / "busy").mkdir()
    before = sorted(here.rglob("*"))
    command = ["fit", "mlp", "--data", "data.npz", *QUICK, "--out"]
    with only_writer(here / "busy"):
        for folder, wanted in {
            "run": "run already holds a run: continue it with",
            "other": "other is not empty, and it is not a run folder",
            "file": "Not a directory",
            "file/run": "is not a folder; name another path",
            "busy": "another process is training in busy",
        }.items():
            said = fails(*command, folder, "--dry-run")
            assert wanted in said
            assert fails(*command, folder) == said
    monkeypatch.setattr("training.config.resolve_device", lambda _name: torch.device("cuda"))
    monkeypatch.setattr("training.config.is_bfloat16_quick", lambda _device: False)
    monkeypatch.setattr(torch.distributed, "is_torchelastic_launched", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for name, value in {"WORLD_SIZE": "3", "RANK": "2", "LOCAL_RANK": "2"}.items():
        monkeypatch.setenv(name, value)
    assert main([*command, "new", "--dry-run"]) == 1
    assert "process 2 of this machine has no CUDA device of its own; there are 2" in capsys.readouterr().err
    assert sorted(here.rglob("*")) == before


@pytest.mark.parametrize("setting", ["epochs=7", " epochs = 3"])
def test_the_number_of_epochs_is_given_once(here: Path, setting: str, capsys: pytest.CaptureFixture[str]):
    assert main(["fit", "mlp", "--data", "data.npz", "--epochs", "3", *QUICK, "--set", setting]) == 2
    said = capsys.readouterr().err
    assert said == f"error: --epochs 3 and --set {setting} set the same: leave one of them out\n"
    assert not (here / "runs").exists()


@pytest.mark.parametrize("number", ["1025", "100000", "99999999999999999999"])
def test_too_many_threads(number: str, capsys: pytest.CaptureFixture[str]):
    """At 100,000 threads PyTorch ends the process with a segmentation fault."""
    with pytest.raises(SystemExit):
        main(["fit", "mlp", "--threads", number])
    assert f"argument --threads: must be at most 1,024, not {number}" in capsys.readouterr().err


@pytest.mark.slow
def test_dry_run_of_the_embedded_mnist_as_a_process(tmp_path: Path):
    done = run("fit", "goodfellow2014", "--dry-run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert '"dataset": "mnist"' in done.stdout
    assert '"train_images": 50000' in done.stdout
    assert "would train" in done.stdout
    assert not list(tmp_path.iterdir())


def test_the_embedded_mnist_is_trained_on(here: Path):
    assert main(["fit", "mlp", "--epochs", "1", "--out", "r", *QUICK, *sets(["train_images=90"])]) == 0
    config = RunFolder(here / "r").read_config()
    assert (config.data, config.train_images, config.held_out_images) == ("mnist", 90, 10_000)
    assert config.image_shape == ImageShape(channels=1, height=28, width=28)
    assert len((here / "r" / "stats.jsonl").read_text().splitlines()) == 1


def test_an_existing_run_is_refused_and_left_alone(here: Path, fails: Fails):
    command = ["fit", "mlp", "--data", "data.npz", "--epochs", "1", *QUICK]
    assert main(command) == 0
    before = {path: path.stat().st_mtime_ns for path in (here / "runs").rglob("*")}
    assert fails(*command) == (
        "runs/mlp already holds a run: continue it with `python -m training resume runs/mlp`, or choose another `--out`"
    )
    assert {path: path.stat().st_mtime_ns for path in (here / "runs").rglob("*")} == before
    assert fails(*command, "--out", ".") == ". is not empty, and it is not a run folder: choose another `--out`"
    assert "data.npz" in fails(*command, "--out", "data.npz")


def test_a_folder_that_a_killed_start_left_is_taken(here: Path):
    (here / "r" / "grids").mkdir(parents=True)
    (here / "r" / ".config.json.tmp").write_text("{")
    assert main(["fit", "mlp", "--data", "data.npz", "--epochs", "1", "--out", "r", *QUICK]) == 0


def test_minutes_stop_a_run_and_it_is_finished(here: Path, capsys: pytest.CaptureFixture[str]):
    command = ["fit", "mlp", "--data", "data.npz", "--minutes", "0.005", "--out", "r", *QUICK]
    assert main([*command, *sets(["epochs=1000000", "checkpoint_interval_s=0"])]) == 0
    folder = RunFolder(here / "r")
    records = [json.loads(line) for line in folder.stats_file.read_text().splitlines()]
    assert records[-1]["epoch"] < 1_000_000
    assert records[-1]["seconds"] >= 0.3
    assert all(record["seconds"] <= 0.3 for record in records[:-1])
    assert f"{len(records):05d}.png" in {path.name for path in folder.grids.iterdir()}  # its last state is drawn
    assert main(["resume", "r"]) == 0
    assert [json.loads(line) for line in folder.stats_file.read_text().splitlines()] == records
    assert main(["export", "r", "--to", "m"]) == 0
    assert load_model(here / "m").metadata.epochs == len(records)
    assert "--minutes 0.005" in load_model(here / "m").card


def test_the_same_command_makes_the_same_model(here: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GIT_DIR", "/dev/null")
    models = []
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        assert main(["fit", "mlp", "--data", "data.npz", "--epochs", "1", "--out", name, "--seed", seed, *QUICK]) == 0
        assert main(["export", name, "--to", f"models/{name}/m"]) == 0
        models.append((here / f"models/{name}/m/model.safetensors").read_bytes())
    assert models[0] == models[1]
    assert models[0] != models[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nope"], "there is no recipe 'nope'"),
        (["mlp", "--set", "epoch=3"], "recipe 'mlp' has 1 mistake(s):\n  epoch: there is no such key"),
        (["mlp", "--set", "epochs"], "--set takes key=value, not 'epochs'"),
        (["mlp", "--set", "epochs=0"], "epochs: Input should be greater than or equal to 1"),
        (["mlp", "--data", "nowhere"], "there is no data at 'nowhere'"),
        (
            ["writeup", "--data", "data.npz"],
            "batch_size is 128, but data has 36 training images: use `--set batch_size=18`",
        ),
        (["mlp", "--data", "data.npz", "--set", "train_images=37"], "train_images is 37, but data has 36"),
        (["mlp", "--data", "bad.npz"], "bad.npz cannot be read as an .npz"),
        (["mlp", "--data", "album", "--strict"], "album/003.png cannot be read as an image"),
    ],
)
def test_mistakes_are_one_message_and_leave_nothing(
    here: Path, fails: Fails, arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch
):
    whole = (here / "data.npz").read_bytes()
    (here / "bad.npz").write_bytes(whole[: len(whole) // 2])
    write_pngs(here / "album", tiny_images())
    (here / "album" / "003.png").write_bytes(b"broken")
    assert message in fails("fit", *arguments)
    assert not (here / "runs").exists()


def test_a_batch_may_be_as_large_as_the_data(here: Path, fails: Fails):
    command = ["fit", "mlp", "--data", "data.npz", "--dry-run", *QUICK, "--set"]
    assert main([*command, "batch_size=36"]) == 0
    assert "batch_size is 37, but data has 36 training images" in fails(*command, "batch_size=37")


@pytest.mark.slow
def test_mistakes_of_real_processes(here: Path):
    """Exit code 1, nothing on standard output, one message on standard error."""
    shutil.copy(here / "data.npz", here / "bad.npz")
    data = bytearray((here / "bad.npz").read_bytes())
    data[len(data) // 2] ^= 0xFF
    (here / "bad.npz").write_bytes(data)
    done = run("fit", "mlp", "--data", "bad.npz", *QUICK, cwd=here)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"error: bad\.npz cannot be read as an \.npz: .*\n", done.stderr)
    done = run("fit", "mlp", "--set", "epoch=3", "--set", "lr=1", cwd=here)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "error: recipe 'mlp' has 2 mistake(s):\n  epoch: there is no such key\n  lr: there is no such key\n"
    )


@pytest.mark.slow
def test_rollback_on_the_command_line(here: Path, fails: Fails, monkeypatch: pytest.MonkeyPatch):
    """Use the real monitor with few samples, and make its figures of the third epoch worse."""
    monkeypatch.setattr("training.run.monitor.IMAGES", 50)
    command = ["fit", "mlp", "--data", "data.npz", "--epochs", "4", "--on-collapse", "rollback", "--out", "r", *QUICK]
    assert fails(*command) == (
        "`--on-collapse rollback` returns to the best measured state, but metrics_every_epochs is 0: add "
        "`--set metrics_every_epochs=1`"
    )
    assert not (here / "r").exists()
    measure, calls = Monitor.measure, count(1)

    def collapsing(monitor: Monitor, game: Game) -> dict[str, float]:
        figures = measure(monitor, game) | {"frechet": 9.0, "coverage": 0.5}
        return figures | ({"frechet": 90.0, "coverage": 0.2} if next(calls) == 3 else {})

    monkeypatch.setattr(Monitor, "measure", collapsing)
    assert main([*command, "--set", "metrics_every_epochs=1"]) == 0
    folder = RunFolder(here / "r")
    assert folder.read_config().on_collapse == "rollback"
    (event,) = (json.loads(line) for line in folder.events_file.read_text().splitlines())
    assert event == {
        "epoch": 3,
        "kind": "collapse",
        "detail": "coverage fell from 0.500 in epoch 1 to 0.200",
        "action": "went back to epoch 1; learning rates are now 0.5 times the recipe's",
    }
    records = [json.loads(line) for line in folder.stats_file.read_text().splitlines()]
    assert [record["epoch"] for record in records] == [1, 2, 3, 4]
    assert all(set(record["metrics"]) >= {"frechet", "coverage", "precision"} for record in records)
    assert next(calls) == 7  # epochs 1, 2, 3, and again 2, 3, 4
    assert "alarm in epoch 3: collapse: coverage fell from 0.500 in epoch 1 to 0.200" in folder.log_file.read_text()
    assert main(["export", "r", "--to", "m"]) == 0
    model = load_model(here / "m")
    assert [dict(event) for event in model.history.events] == [event]
    assert " --on-collapse rollback --features wavelets --set " in model.card
    assert main(["export", "r", "--to", "last", "--state", "last"]) == 0
    last = load_model(here / "last")
    assert (last.metadata.epochs, model.metadata.epochs) == (4, 1)
    assert "export RUN --to last --state last\n" in last.card
    assert "--state" not in model.card


@pytest.mark.parametrize("seed", ["-1", str(2**53), "x"])
def test_a_seed_out_of_range_is_a_usage_error(here: Path, seed: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as stopped:
        main(["fit", "mlp", f"--seed={seed}", "--dry-run"])
    assert stopped.value.code == 2
    assert "argument --seed: " in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--threads", "0"],
        ["--epochs", "0"],
        ["--on-collapse", "pray"],
        ["--minutes", "0"],
        ["--minutes", "inf"],
        ["--device", "tpu"],
        ["--data", ""],
        ["--out", ""],
    ],
)
def test_other_usage_errors(arguments: list[str], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as stopped:
        main(["fit", "mlp", *arguments])
    assert stopped.value.code == 2
    assert f"argument {arguments[0]}: " in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["resume", ""],
        ["resume", "r", "--data", ""],
        ["export", "r", "--to", ""],
        ["evaluate", ""],
        ["evaluate", "m", "--data", ""],
        ["evaluate", "m", "--html", ""],
        ["sample", "m", "--out", ""],
        ["classifier", "--to", ""],
        ["watch", "r", "--host", ""],
    ],
)
def test_an_empty_name_is_not_the_current_folder(arguments: list[str], capsys: pytest.CaptureFixture[str]):
    assert code_of(arguments) == 2
    assert "must not be empty" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "advice"),
    [
        (["fit", "mlp", "--out", "new"], "then run the same command again"),
        (["fit", "mlp", "--out", "r"], "to continue: python -m training resume r"),
        (["resume", "r"], "to continue: python -m training resume r"),
        (["sample", "m", "-o", "g.png"], "then run the same command again"),
        (["sample", "m", "--out", "d"], "the same command continues d: the shards that are there are complete"),
        (["export", "r", "--to", "m"], "then run the same command again"),
    ],
)
def test_a_full_disk_says_how_to_continue_this_command(
    here: Path, fails: Fails, monkeypatch: pytest.MonkeyPatch, command: list[str], advice: str
):
    def fill(*_arguments: object, **_named: object) -> None:
        raise OSError(errno.ENOSPC, "no space", "f")

    RunFolder(Path("r")).path.mkdir()
    RunFolder(Path("r")).config_file.write_text("{}")
    monkeypatch.setattr(sys.modules[f"training.cli.{command[0]}"], "run", fill)
    assert fails(*command) == f"the disk is full (f); the files saved before are complete. Free some space; {advice}"


def test_a_nan_stops_the_run_with_one_message_and_the_saved_state_stays(here: Path, fails: Fails):
    command = ["fit", "mlp", "--data", "data.npz", "--epochs", "9", "--out", "r", *QUICK]
    rate = 'generator_optimiser={name="sgd", learning_rate=1e30}'
    message = fails(*command, *sets(["discriminator_optimiser.learning_rate=1e30", rate, "checkpoint_interval_s=0"]))
    assert re.match(r"epoch \d+, step \d+: \S.* (is|holds) ", message)
    assert "learning rates" in message
    assert (here / "r" / "config.json").exists()
    state = here / "r" / "checkpoint.safetensors"
    if state.exists():
        from safetensors.torch import load_file

        assert all(bool(tensor.isfinite().all()) for tensor in load_file(state).values())


def test_a_nan_in_the_first_step_says_that_nothing_was_saved(here: Path, fails: Fails, monkeypatch: pytest.MonkeyPatch):
    def explode(*_arguments: object, **_named: object) -> None:
        raise NotFiniteError("D's loss is nan")

    monkeypatch.setattr(Game, "discriminator_step", explode)
    message = fails("fit", "mlp", "--data", "data.npz", "--epochs", "1", "--out", "r", *QUICK)
    end = "`resume` would begin from the start, take the same steps and end in the same way"
    assert message == f"epoch 1, step 1: D's loss is nan. No state was saved yet: {end}"
    assert fails("resume", "r") == message


@pytest.mark.parametrize(
    ("old", "new", "change"),
    [
        ('"epochs": 3', '"epochs": 5', "recipe.epochs is 5 now, and was 3"),
        ('"seed": 11', '"seed": 12', "seed is 12 now, and was 11"),
        ('"minutes": null', '"minutes": 2.0', "minutes is 2.0 now, and was null"),
    ],
)
def test_a_configuration_that_was_changed_by_hand_is_refused(
    here: Path, chain: Path, fails: Fails, old: str, new: str, change: str
):
    shutil.copytree(chain / "runs" / "mlp", here / "r")
    config = here / "r" / "config.json"
    assert old in config.read_text()
    config.write_text(config.read_text().replace(old, new))
    for command in (["resume", "r"], ["export", "r", "--to", "m"]):
        message = fails(*command)
        assert f"config.json was changed after checkpoint.safetensors was saved: {change}. A run keeps its" in message
    config.write_text(config.read_text().replace(new, old).replace('"judge_steps": 0', '"judge_steps": 1'))
    assert main(["resume", "r"]) == 0  # only the export uses this setting


def test_interrupted(here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def interrupt(*_arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("training.run.loop.train", interrupt)
    assert main(["fit", "mlp", "--data", "data.npz", *QUICK]) == 130
    assert capsys.readouterr().err.endswith(
        "interrupted; no state was saved yet, so `resume` will begin from the start; to continue: python -m training "
        "resume runs/mlp\n"
    )


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interruption_says_where_resume_will_begin(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: int, code: int
):
    step = loop.play_step

    def interrupted(game: Game, data: Dataset, batches: list[torch.Tensor], progress: Progress) -> None:
        step(game, data, batches, progress)
        os.kill(os.getpid(), number)

    with interruptible(), monkeypatch.context() as patch:
        patch.setattr(loop, "play_step", interrupted)
        assert main(["fit", "mlp", "--data", "data.npz", "--epochs", "2", *QUICK]) == code
    said = re.search("`resume` will begin (at epoch 1, step 1 of .*);", capsys.readouterr().err)
    assert said
    assert main(["resume", "runs/mlp"]) == 0
    assert f"resumed {said[1]}: runs/mlp\n" in capsys.readouterr().err


# --- export, a person's own data -----------------------------------------------------------------------


def test_the_exported_folder_is_whole(chain: Path):
    model = load_model(chain / "models" / "mine")
    run_folder = RunFolder(chain / "runs" / "mlp")
    metadata = model.metadata
    assert (metadata.recipe, metadata.dataset, metadata.seed) == ("mlp", "data", 11)
    assert (metadata.epochs, metadata.images_seen, metadata.z_dim) == (3, 108, 4)
    assert metadata.licence == "same as the training images"
    assert (metadata.judge, metadata.format_version) == (False, 3)
    assert metadata.game is not None
    assert metadata.game.startswith("G and D played the game of the 2014 paper (non-saturating loss), without ")
    assert metadata.game in model.card
    assert [entry.epoch for entry in model.timeline] == [0, 1, 2, 3]
    for entry in model.timeline:
        assert entry.path.read_bytes() == (run_folder.grids / entry.path.name).read_bytes()
    records = [json.loads(line) for line in run_folder.stats_file.read_text().splitlines()]
    assert [record.model_dump() for record in model.history.epochs] == records
    for part in (
        "# mine",
        "Parzen log-likelihood",
        "## Limits",
        "## Licence",
        "commit unknown",
        "36 images; 4 held out",
        "**Warning:** there are only 4 held-out images to compare with: precision, recall",
    ):
        assert part in model.card
    assert "--seed 11 --threads 1" in model.card
    assert " --set z_dim=4" in model.card
    (command,) = (line for line in model.card.splitlines() if line.startswith("    python -m training fit"))
    assert shlex.split(command)[4:] == [
        *["mlp", "--data", "data.npz", "--seed", "11", "--threads", "1", "--features", "wavelets"],
        *sets([*TINY_MLP, "epochs=3"]),
    ]  # it can be pasted into a shell
    assert "nan" not in model.card


def test_export_needs_a_saved_state_and_a_good_name(here: Path, chain: Path, fails: Fails):
    folder = RunFolder(here / "r")
    folder.create(_config_at(chain))
    assert fails("export", "r", "--to", "m") == (
        "r has no saved state yet: train it with `python -m training resume r`"
    )
    assert main(["resume", "r"]) == 0
    assert "'Not A Name' cannot be a model's name" in fails("export", "r", "--to", "Not A Name")


def test_only_the_embedded_mnist_has_mnists_licence(here: Path):
    write_pngs(here / "mnist-of-my-own" / "mnist", tiny_images())
    assert main(["fit", "mlp", "--data", "mnist-of-my-own/mnist", "--epochs", "1", "--out", "r", *QUICK]) == 0
    assert main(["export", "r", "--to", "m"]) == 0
    assert load_model(here / "m").metadata.licence == "same as the training images"


def fit_photos(here: Path, recipe: str) -> None:
    write_pngs(here / "photos" / "cats", tiny_images(12, 32, channels=3))
    write_pngs(here / "photos" / "dogs", tiny_images(12, 32, channels=3, seed=1))
    settings = sets([*TINY[recipe], "batch_size=7"])
    assert main(["fit", recipe, "--data", "photos", "--epochs", "1", "--threads", "1", *settings]) == 0


@pytest.mark.parametrize("recipe", ["goodfellow2014", "mlp", "photos", "writeup"])
def test_every_recipe_takes_colour_photos(here: Path, recipe: str):
    fit_photos(here, recipe)
    assert pixels(here / "runs" / recipe / "grids" / "00001.png").shape == (8 * 34 + 2, 8 * 34 + 2, 3)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["conv", "photos"])
def test_a_folder_of_colour_photos_end_to_end(here: Path, recipe: str, capsys: pytest.CaptureFixture[str]):
    fit_photos(here, recipe)
    assert main(["export", f"runs/{recipe}", "--to", "models/pets"]) == 0
    model = load_model(here / "models" / "pets")
    assert model.metadata.image_shape == ImageShape(channels=3, height=32, width=32)
    capsys.readouterr()
    assert main(["evaluate", "models/pets", "--data", "photos", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["dataset"] == "photos"
    # The same figures as the card's: the same samples, the same images.
    assert {name: figures[name] for name in model.metadata.evaluation} == pytest.approx(model.metadata.evaluation)
    assert main(["sample", "models/pets", "--n", "4", "-o", "grid.png"]) == 0
    assert pixels(here / "grid.png").shape == (2 * 34 + 2, 2 * 34 + 2, 3)


def test_broken_images_are_named_and_left_out_from_fit_to_evaluate(
    here: Path, fails: Fails, capsys: pytest.CaptureFixture[str]
):
    """The run records how many were skipped; `resume` sees the same data, also after the broken files were removed."""
    for name, seed in (("cats", 0), ("dogs", 1)):
        write_pngs(here / "photos" / name, tiny_images(24, seed=seed))
    broken = [here / "photos" / "cats" / f"{index:03d}.png" for index in range(12)]
    for path in broken:
        path.write_bytes(b"no image")
    told = [
        "skipped 12 file(s) that cannot be read as an image (`--strict` stops at the first):",
        *(f"  photos/cats/{path.name}: it is not an image of a known kind" for path in broken[:10]),
        "  … and 2 more",
    ]
    run_folder = RunFolder(here / "r")
    assert main(["fit", "mlp", "--data", "photos", "--epochs", "1", "--out", "r", *QUICK]) == 0
    assert capsys.readouterr().err.splitlines()[: len(told)] == told
    assert [line[20:] for line in run_folder.log_file.read_text().splitlines()][: len(told)] == told
    config = run_folder.read_config()
    assert (config.train_images, config.held_out_images, config.skipped_images) == (33, 3, 12)

    assert main(["resume", "r"]) == 0
    assert capsys.readouterr().err.splitlines()[: len(told)] == told
    assert main(["export", "r", "--to", "m"]) == 0
    assert "33 images; 3 held out; 12 could not be read" in load_model(here / "m").card
    capsys.readouterr()
    assert main(["evaluate", "m", "--data", "photos", "--json"]) == 0
    captured = capsys.readouterr()
    assert captured.err.splitlines()[:-2] == told
    warning, note = captured.err.splitlines()[-2:]
    assert warning.startswith("warning: there are only 3 held-out images")
    assert note.startswith("note: the features are pixels and wavelet energies, because ")
    figures = json.loads(captured.out)
    evaluation = load_model(here / "m").metadata.evaluation
    assert {name: figures[name] for name in evaluation} == pytest.approx(evaluation)

    strict = f"photos/cats/{broken[0].name} cannot be read as an image: it is not an image of a known kind; repair"
    for command in (["resume", "r"], ["export", "r", "--to", "m"], ["evaluate", "m", "--data", "photos"]):
        assert fails(*command, "--strict").startswith(strict)

    for path in broken:
        path.unlink()
    assert main(["resume", "r"]) == 0
    assert "skipped" not in capsys.readouterr().err


def test_the_log_names_the_features_and_what_was_passed_over(here: Path):
    for name, seed in (("cats", 0), ("dogs", 1), (".hidden", 2)):
        write_pngs(here / "photos" / name, tiny_images(20, seed=seed))
    sets_of_metrics = ["--set", "metrics_every_epochs=1"]
    assert main(["fit", "mlp", "--data", "photos", "--epochs", "1", "--out", "r", *QUICK, *sets_of_metrics]) == 0
    log = RunFolder(here / "r").log_file.read_text()
    assert "data: ignored 20 image(s) that are hidden: photos/.hidden\n" in log
    assert (
        "samples are compared with real images in these features: pixels and wavelet energies, because a classifier of "
        "2 classes needs 1,000 training images, and there are 36\n"
    ) in log
    assert RunFolder(here / "r").read_config().class_names == ("cats", "dogs")


def test_an_image_that_breaks_later_stops_resume_and_export(here: Path, capsys: pytest.CaptureFixture[str]):
    """With one image fewer the split changes: images that G was trained on would be held out."""
    write_pngs(here / "photos", tiny_images(40))
    assert main(["fit", "mlp", "--data", "photos", "--epochs", "1", "--out", "r", *QUICK]) == 0
    (here / "photos" / "007.png").write_bytes(b"")
    for command in (["resume", "r"], ["export", "r", "--to", "m"]):
        capsys.readouterr()
        assert main(command) == 1
        assert capsys.readouterr().err.splitlines()[-1] == (
            "error: the images of 'photos' are not those that the run began with (then: 36 to train on, 4 held out, "
            "0 skipped; now: 36 to train on, 3 held out, 1 skipped); the run cannot be resumed or exported without "
            "them: if they are elsewhere now, name the place with --data"
        )
    assert not (here / "m").exists()


# --- evaluate, sample ---------------------------------------------------------------------------------------


def test_evaluate_tells_what_the_export_found(chain: Path):
    done = run("evaluate", "models/mine", "--data", "data.npz", "--json", cwd=chain)
    assert done.returncode == 0, done.stderr
    told = (
        "warning: there are only 4 held-out images to compare with: .*\nnote: the features are pixels and wavelet .*\n"
    )
    assert re.fullmatch(told, done.stderr)
    figures = json.loads(done.stdout)
    model = load_model(chain / "models" / "mine")
    assert figures.pop("model") == model.reference
    assert figures.pop("dataset") == "data"
    assert figures.pop("samples") == 10_000
    assert figures.pop("features") == "pixels and wavelet energies"
    assert figures.pop("seconds") > 0
    assert figures == model.metadata.evaluation  # to the last bit: the same machine, the same images


def test_a_full_evaluation_adds_its_figures(
    here: Path, chain: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("training.evaluation.full.small_cnn.MIN_STEPS", 2)
    model, data = str(chain / "models" / "mine"), str(chain / "data.npz")
    assert main(["evaluate", model, "--data", data, "--full", "--json", "--html", "page.html"]) == 0
    told = capsys.readouterr()
    figures = json.loads(told.out)
    assert {"two_sample_auroc", "two_sample_auroc_real", "clipped_coverage", "threads"} <= set(figures)
    assert figures["accuracy_score_missing"] == "the model has no classes, so its samples have no labels"
    assert "full: 1 of 5: drawing samples\n" in told.err
    assert "full: 5 of 5: looking for copies" in told.err
    assert "Telling samples" in (here / "page.html").read_text()


@pytest.mark.parametrize("change", ["one more", "others of the same name"])
def test_evaluate_says_that_the_data_have_changed(here: Path, capsys: pytest.CaptureFixture[str], change: str):
    """Of a folder with one image more, other images are held out: some of them were trained on."""
    write_pngs(here / "photos", tiny_images(40))
    assert main(["fit", "mlp", "--data", "photos", "--epochs", "1", "--out", "r", *QUICK]) == 0
    assert main(["export", "r", "--to", "m"]) == 0
    capsys.readouterr()
    (here / "moved").mkdir()
    (here / "photos").rename(here / "moved" / "elsewhere")
    assert main(["evaluate", "m", "--data", "moved/elsewhere", "--json"]) == 0  # the same images under another name
    told = capsys.readouterr()
    assert "note: the images" not in told.err
    assert [name for name in json.loads(told.out) if "training" in name]
    write_pngs(here / "photos", tiny_images(41) if change == "one more" else tiny_images(40, seed=9))
    assert main(["evaluate", "m", "--data", "photos", "--json"]) == 0
    told = capsys.readouterr()
    assert "note: the images of 'photos' are not those that m was trained on" in told.err
    assert not [name for name in json.loads(told.out) if "training" in name]


def test_own_images_named_as_an_embedded_data_set(here: Path, capsys: pytest.CaptureFixture[str]):
    write_pngs(here / "own" / "mnist", tiny_images(40))
    assert main(["fit", "mlp", "--data", "own/mnist", "--epochs", "1", "--out", "r", *QUICK]) == 0
    assert main(["export", "r", "--to", "m"]) == 0
    assert main(["evaluate", "m"]) == 1
    assert "m was trained on 'mnist': name that data set, or its path, with --data" in capsys.readouterr().err
    assert main(["evaluate", "m", "--data", "own/mnist", "--json"]) == 0


def test_evaluate_names_no_training_image_among_other_images(
    here: Path, chain: Path, capsys: pytest.CaptureFixture[str]
):
    write_pngs(here / "others", tiny_images(seed=4))
    model = str(chain / "models" / "mine")
    assert main(["evaluate", model, "--data", "others", "--html", "page.html"]) == 0
    told = capsys.readouterr()
    assert "mine was trained on 'data', not on 'others', so these images cannot show whether it copies" in told.err
    assert "raining image" not in told.out
    assert "computed for other images of others instead of samples" in " ".join(told.out.split())
    assert "training image" not in (here / "page.html").read_text().split("How this page was made")[0]
    assert main(["evaluate", model, "--data", "others", "--json"]) == 0
    assert not [name for name in json.loads(capsys.readouterr().out) if "training" in name]


def test_a_run_on_few_images_is_warned_about_its_figures(here: Path, capsys: pytest.CaptureFixture[str]):
    command = ["fit", "mlp", "--data", "data.npz", "--epochs", "1", "--out", "r", *QUICK]
    assert main([*command, "--set", "metrics_every_epochs=1"]) == 0
    warning = "warning: there are only 36 training images to compare with: precision, recall"
    assert warning in capsys.readouterr().err
    assert warning in (here / "r" / "log.txt").read_text()


def test_evaluate_on_images_of_another_kind(here: Path, chain: Path, fails: Fails):
    write_npz(here / "rgb.npz", tiny_images(channels=3))
    message = fails("evaluate", chain / "models" / "mine", "--data", "rgb.npz")
    assert message.startswith("mine makes images with ")
    assert "the images of rgb have " in message


@pytest.mark.parametrize("command", [["evaluate"], ["sample", "-o", "g.png"]])
def test_models_that_are_not_there(here: Path, fails: Fails, command: list[str]):
    assert "is not a folder" in fails(command[0], "no-such-model", *command[1:])
    (here / "empty").mkdir()
    assert "model.safetensors is missing" in fails(command[0], "empty", *command[1:])


def test_sample_draws_the_samplers_pixels(chain: Path):
    done = run("sample", "models/mine", "--n", "7", "--seed", "5", "--first", "3", "-o", "grid.png", cwd=chain)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "wrote images 3 to 9 of seed 5 to grid.png\n"
    model = load_model(chain / "models" / "mine")
    sampler = Sampler(model.generator, z_dim=4, image_shape=model.metadata.image_shape)
    single = [sampler(draw_latents(5, index, 1, z_dim=4, prior="normal"))[0] for index in range(3, 10)]
    grid = pixels(chain / "grid.png")
    np.testing.assert_array_equal(grid, assemble_grid(np.stack(single), padding=2))
    for place, image in enumerate(single):  # 3 in a row, 2 black pixels between
        row, column = divmod(place, 3)
        top, left = 2 + 18 * row, 2 + 18 * column
        np.testing.assert_array_equal(grid[top : top + 16, left : left + 16], image)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--n=0"], "argument --n: must be at least 1, not 0"),
        ([f"--n={MAX_GRID_IMAGES + 1}"], f"--n must be 1 to {MAX_GRID_IMAGES} for one grid, not {MAX_GRID_IMAGES + 1}"),
        (["--seed=-1"], "argument --seed: must be 0 ≤ seed < 2**53, not -1"),
        ([f"--seed={2**53}"], "argument --seed: must be 0 ≤ seed < 2**53"),
        (["--first=-1"], "argument --first: must be at least 0, not -1"),
        ([f"--first={2**53}"], "images beyond the last index, 2**53 - 1"),
        (["--truncation=0"], "argument --truncation: must be above 0 and at most 1, not 0"),
        (["--truncation=1.01"], "argument --truncation: must be above 0 and at most 1, not 1.01"),
        (["--truncation=nan"], "argument --truncation: must be above 0 and at most 1, not nan"),
        (["--shard-images=0"], "argument --shard-images: must be at least 1, not 0"),
        (["--shard-images=9"], "--shard-images cannot be used with -o FILE"),
        (["--n=1e3"], "argument --n: must be a whole number in digits, such as 1000, not '1e3'"),
        (["--digit=two"], "argument --digit: must be a whole number in digits"),
        (["--truncation=half"], "argument --truncation: must be a number, not 'half'"),
        (["-o", ""], "argument -o/--output: must not be empty"),
        (["-o", "x.jpg"], "-o x.jpg: a PNG is written there; name it x.png"),
    ],
)
def test_options_of_sample_out_of_range_are_usage_errors(
    here: Path, no_work: None, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
):
    """They are told before the model is loaded, with the exit code that `fit --seed` has."""
    assert code_of(["sample", "mnist-mlp", "-o", "g.png", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not (here / "g.png").exists()


def code_of(arguments: list[str]) -> object:
    try:
        return main(arguments)
    except SystemExit as stopped:
        return stopped.code


def test_a_grid_in_no_folder(here: Path, fails: Fails):
    model = make_tiny_model_folder(here / "tiny")
    assert "there is no folder no/such/folder; make it first" in fails("sample", model, "-o", "no/such/folder/g.png")


def test_sample_asks_a_conditional_model_for_a_digit(here: Path, capsys: pytest.CaptureFixture[str]):
    path = make_tiny_model_folder(here / "tiny", z_dim=14, classes=10)
    model = load_model(path)
    sampler = Sampler(model.generator, z_dim=14, image_shape=model.metadata.image_shape)
    drawn = draw_latents(5, 3, 6, z_dim=14, prior="normal")
    seen = set()
    for digit in (0, 9):
        command = ["sample", str(path), "--n", "6", "--seed", "5", "--first", "3", "--digit", str(digit), "-o", "g.png"]
        assert main(command) == 0
        assert capsys.readouterr().out == f"wrote images 3 to 8 of seed 5 (requested class: {digit}) to g.png\n"
        wanted = assemble_grid(sampler(ask_for_class(drawn, digit, head_starts=np.zeros(10, np.float32))), padding=2)
        np.testing.assert_array_equal(pixels(here / "g.png"), wanted)
        seen.add((here / "g.png").read_bytes())
    assert len(seen) == 2


def test_truncation_keeps_the_digit(here: Path):
    path = make_tiny_model_folder(here / "tiny", z_dim=14, classes=10)
    command = ["sample", str(path), "--n", "6", "--seed", "5", "--digit", "3", "--truncation", "0.3", "-o", "g.png"]
    assert main(command) == 0
    latents = draw_latents(5, 0, 6, z_dim=14, prior="normal")
    latents[:, :4] *= np.float32(0.3)
    model = load_model(path)
    sampler = Sampler(model.generator, z_dim=14, image_shape=model.metadata.image_shape)
    wanted = sampler(ask_for_class(latents, 3, head_starts=np.zeros(10, np.float32)))
    np.testing.assert_array_equal(pixels(here / "g.png"), assemble_grid(wanted, padding=2))


@pytest.mark.parametrize(
    ("classes", "digit", "message"),
    [
        (0, 3, "tiny is not conditional, so its class cannot be chosen (--digit 3): leave --digit out"),
        (3, 3, "--digit must be one of tiny's classes, 0 to 2, not 3"),
        (3, -1, "--digit must be one of tiny's classes, 0 to 2, not -1"),
    ],
)
def test_digits_that_are_none(here: Path, fails: Fails, classes: int, digit: int, message: str):
    model = make_tiny_model_folder(here / "tiny", classes=classes)
    assert fails("sample", model, "-o", "g.png", f"--digit={digit}") == message
    assert not (here / "g.png").exists()


@pytest.mark.parametrize("asked", ["--class=Käfer, rot", "--class=2", "--digit=2"])
def test_sample_asks_for_a_class_by_its_name(here: Path, capsys: pytest.CaptureFixture[str], asked: str):
    path = make_tiny_model_folder(here / "tiny", z_dim=14, class_names=("cat", "2nd", "Käfer, rot"))
    assert main(["sample", str(path), "--n", "6", "--seed", "5", asked, "-o", "g.png"]) == 0
    assert capsys.readouterr().out == "wrote images 0 to 5 of seed 5 (requested class: Käfer, rot) to g.png\n"
    model = load_model(path)
    sampler = Sampler(model.generator, z_dim=14, image_shape=model.metadata.image_shape)
    drawn = draw_latents(5, 0, 6, z_dim=14, prior="normal")
    wanted = sampler(ask_for_class(drawn, 2, head_starts=np.zeros(3, np.float32)))
    np.testing.assert_array_equal(pixels(here / "g.png"), assemble_grid(wanted, padding=2))


def test_classes_that_are_none(here: Path, fails: Fails, capsys: pytest.CaptureFixture[str]):
    named = make_tiny_model_folder(here / "named", class_names=("cat", "dog"))
    told = "--class must be one of named's classes, cat, dog (or their numbers, 0 to 1), not 'bird'"
    assert fails("sample", named, "-o", "g.png", "--class=bird") == told
    plain = make_tiny_model_folder(here / "plain")
    told = "plain is not conditional, so its class cannot be chosen (--class 'cat'): leave --class out"
    assert fails("sample", plain, "-o", "g.png", "--class=cat") == told
    with pytest.raises(SystemExit):
        main(["sample", str(named), "-o", "g.png", "--class=cat", "--digit=0"])
    assert "argument --digit: not allowed with argument --class" in capsys.readouterr().err


def test_the_largest_grid(here: Path):
    model = make_tiny_model_folder(here / "tiny")
    assert main(["sample", str(model), "--n", str(MAX_GRID_IMAGES), "-o", "g.png"]) == 0
    assert pixels(here / "g.png").shape == (64 * 30 + 2, 64 * 30 + 2)


@pytest.mark.slow
def test_set_takes_several_settings_at_once(here: Path):
    done = run("fit", "mlp", "--dry-run", "--set", "batch_size=7", "epochs=9", "--set", "z_dim=15", cwd=here)
    assert done.returncode == 0, done.stderr
    recipe = json.loads(done.stdout[: done.stdout.rindex("}") + 1])["recipe"]
    assert (recipe["batch_size"], recipe["epochs"], recipe["z_dim"]) == (7, 9, 15)


# --- What a command replaces ------------------------------------------------------------------------


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make loading data or models fail the test, so that a command must refuse before it begins any work."""

    def work(*_arguments: object, **_named: object) -> None:
        raise AssertionError("work was begun")

    for name in (
        "models.model_folder.read.load_model",
        "models.inference.sampler.Sampler.of_model",
        "training.data.dataset.load_dataset",
        "training.data.mnist.read_mnist",
    ):
        monkeypatch.setattr(name, work)


@pytest.fixture
def holiday(here: Path) -> Path:
    (here / "holiday").mkdir()
    (here / "holiday" / "letter.txt").write_text("Dear Ann")
    (here / "link").symlink_to("holiday/letter.txt")
    return here / "holiday"


@pytest.mark.parametrize(
    ("to", "message"),
    [
        ("holiday", "holiday holds 'letter.txt', which is not part of a model folder and would be lost"),
        ("holiday/letter.txt", "holiday/letter.txt is not a folder, and is not replaced; name a new folder"),
        ("link", "link is a symbolic link, which is not replaced; name the folder itself"),
        ("Bad Name!", "'Bad Name!' cannot be a model's name; choose one that matches"),
        (".", "'.' cannot be a model's name"),
        ("..", "'..' cannot be a model's name"),
        ("/", "'/' cannot be a model's name"),
    ],
)
def test_export_refuses_what_is_no_model_folder_before_any_work(
    chain: Path, holiday: Path, fails: Fails, no_work: None, to: str, message: str
):
    assert fails("export", chain / "runs" / "mlp", "--to", to).startswith(message)
    assert {path.name for path in holiday.parent.iterdir()} == {"data.npz", "holiday", "link"}
    assert (holiday / "letter.txt").read_text() == "Dear Ann"


@pytest.mark.parametrize(
    "command", [["export", "runs/mlp"], ["judge", "models/mine", "--data", "data.npz", "--steps", "1"]]
)
def test_two_commands_do_not_write_one_model_folder(
    chain: Path, tmp_path: Path, fails: Fails, monkeypatch: pytest.MonkeyPatch, no_work: None, command: list[str]
):
    monkeypatch.chdir(chain)
    with (tmp_path / ".m.lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        message = fails(*command, "--to", tmp_path / "m")
    assert message.startswith(f"another process is writing a model to {tmp_path / 'm'}: wait until it ends")
    assert [path.name for path in tmp_path.iterdir()] == [".m.lock"]


def test_an_export_whose_early_pictures_are_lost(
    chain: Path, here: Path, fails: Fails, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    shutil.copytree(chain / "runs" / "mlp", here / "run")
    for picture in sorted((here / "run" / "grids").iterdir())[:-1]:
        picture.unlink()
    export = ["export", "run", "--data", str(chain / "data.npz"), "--to"]
    assert "D needs earlier images of G, but of epochs 0 to 1 there is no picture, only of 3" in fails(
        *export, "m", "--set", "judge_steps=2"
    )
    assert main([*export, "m"]) == 0
    assert "warning: run/grids has no picture of epoch 0: the model's timeline will begin" in capsys.readouterr().out
    assert "--set has 1 mistake(s):\n  judge_steps" in fails(*export, "m", "--set", "judge_steps=-1")


def test_export_says_that_it_replaces_a_model_folder(
    chain: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.chdir(chain)
    to = make_tiny_model_folder(tmp_path / "m")
    assert main(["export", "runs/mlp", "--to", str(to)]) == 0
    says, *_, wrote = capsys.readouterr().out.splitlines()
    assert says == f"{to} is a model folder already: it will be replaced"
    assert wrote.startswith("wrote m@")
    assert load_model(to).metadata.recipe == "mlp"


@pytest.mark.parametrize(
    "command", [["sample", "mnist-mlp", "-o"], ["evaluate", "mnist-mlp", "--html"], ["classifier", "--to"]]
)
@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("holiday", "holiday: a folder is there, and is not replaced"),
        (".", ".: a folder is there, and is not replaced"),
        ("link", "link: a symbolic link is there, and is not replaced"),
        ("/dev/null", "/dev/null: a device or a pipe is there, and is not replaced"),
        ("no/such", "no/such: there is no folder no; make it first"),
        ("-", "-: standard output is not supported; name a file"),
    ],
)
def test_a_file_that_cannot_be_written_is_refused_before_any_work(
    holiday: Path, fails: Fails, no_work: None, command: list[str], path: str, message: str
):
    assert fails(*command, path).startswith(f"{command[-1]} {message}")
    assert (holiday / "letter.txt").read_text() == "Dear Ann"
    assert Path("/dev/null").is_char_device()


@pytest.mark.parametrize(
    ("command", "path", "message"),
    [
        (["evaluate", "mnist-mlp", "--html"], "letter", "letter: a file that is not an HTML page is there, and is not"),
        (["sample", "mnist-mlp", "-o"], "letter", "letter: a file that is not a PNG is there, and is not replaced"),
        (["classifier", "--to"], "model.safetensors", "model.safetensors: a file is there, and is not replaced"),
    ],
)
def test_a_file_of_another_kind_is_not_replaced(
    here: Path, fails: Fails, no_work: None, command: list[str], path: str, message: str
):
    (here / path).write_text("Dear Ann")
    assert message in fails(*command, path)
    assert (here / path).read_text() == "Dear Ann"


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["evaluate", "mnist-mlp", "--html"], "m/CARD.md: an HTML page is written there; name it m/CARD.html"),
        (["classifier", "--to"], "m/CARD.md: a classifier is written there; name it m/CARD.safetensors"),
    ],
)
def test_a_name_of_another_kind_is_a_usage_error(
    here: Path, no_work: None, command: list[str], message: str, capsys: pytest.CaptureFixture[str]
):
    (here / "m").mkdir()
    assert code_of([*command, "m/CARD.md"]) == 2
    assert message in capsys.readouterr().err


def test_a_page_and_an_empty_file_are_replaced(here: Path):
    (here / "old.html").write_text("<!DOCTYPE html><p>the page of yesterday")
    (here / "empty").touch()
    check_output_file("--html", here / "old.html", HTML_PAGE)
    check_output_file("-o", here / "empty", PNG)


def test_fit_tells_which_classes_train_images_leaves_out(here: Path, capsys: pytest.CaptureFixture[str]):
    np.savez("data.npz", images=np.zeros((300, 16, 16), np.uint8), labels=np.repeat(np.arange(30), 10))
    few = ["--set", "train_images=20", "z_dim=40", "batch_size=4"]
    assert main(["fit", "mlp", "--data", "data.npz", "--epochs", "1", "--dry-run", *QUICK, *few]) == 0
    assert "data: train_images=20 leaves images of 20 of 30 classes: give a larger number" in capsys.readouterr().err


def test_ctrl_c_waits_until_pytorch_is_imported(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    imported = []

    def import_and_make_parser() -> argparse.ArgumentParser:
        signal.raise_signal(signal.SIGINT)
        imported.append("all of it")
        return make_parser()

    monkeypatch.setattr("training.cli.command_line.make_parser", import_and_make_parser)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's job in the background ignores it
    try:
        assert main(["fit", "mlp", "--data", "data.npz", *QUICK]) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert imported == ["all of it"]
    assert capsys.readouterr().err == "interrupted; nothing was written; the same command starts again\n"
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_fit_waits_for_no_pipe(here: Path, fails: Fails):
    os.mkfifo("pipe.npz")
    assert fails("fit", "mlp", "--data", "pipe.npz").startswith("pipe.npz is a pipe or a device, and no file or folder")


def test_fit_takes_no_folder_that_holds_somebodys_pictures(here: Path, fails: Fails):
    (here / "r" / "grids").mkdir(parents=True)
    (here / "r" / "grids" / "2024.png").write_text("a picture")
    message = fails("fit", "mlp", "--data", "data.npz", "--epochs", "1", "--out", "r", *QUICK)
    assert message == "r is not empty, and it is not a run folder: choose another `--out`"
    assert (here / "r" / "grids" / "2024.png").read_text() == "a picture"


def test_fit_refuses_a_folder_before_it_loads_the_data(holiday: Path, fails: Fails, no_work: None):
    (holiday.parent / "run").mkdir()
    (holiday.parent / "run" / "config.json").write_text("{}")
    for out, message in {
        "holiday": "holiday is not empty, and it is not a run folder",
        "holiday/letter.txt/run": "letter.txt is not a folder; name another path: holiday/letter.txt/run",
        "run": "run already holds a run: continue it with `python -m training resume run`, or choose another `--out`",
    }.items():
        assert message in fails("fit", "mlp", "--out", out)


def test_fit_refuses_what_the_machine_lacks_before_it_loads_the_data(
    here: Path, fails: Fails, no_work: None, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert "finds no CUDA device" in fails("fit", "mlp", "--device", "cuda")
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    assert "finds no GPU of Apple" in fails("fit", "mlp", "--device", "mps")
    command = ["fit", "mlp", "--on-collapse", "rollback", "--set", "metrics_every_epochs=0"]
    assert "add `--set metrics_every_epochs=1`" in fails(*command)


@pytest.mark.parametrize("out", ["holiday", "holiday/letter.txt", "holiday/letter.txt/shards"])
def test_sample_refuses_a_folder_before_it_loads_the_model(holiday: Path, fails: Fails, no_work: None, out: str):
    assert "folder" in fails("sample", "mnist-mlp", "--out", out)
    assert (holiday / "letter.txt").read_text() == "Dear Ann"


def test_export_looks_for_the_saved_state_before_it_loads_the_data(
    here: Path, chain: Path, fails: Fails, no_work: None
):
    shutil.copytree(chain / "runs", here / "runs")
    state = here / "runs" / "mlp" / "checkpoint.safetensors"
    state.write_bytes(state.read_bytes()[:100])
    assert "checkpoint.safetensors cannot be loaded" in fails("export", "runs/mlp", "--to", "m")
    state.unlink()
    assert "has no saved state yet" in fails("export", "runs/mlp", "--to", "m")


def test_a_recipe_with_a_long_name_can_be_exported(here: Path):
    """The metadata of a model limit the names of the recipe and of the data; a file's name may be longer."""
    recipe, data = f"{'r' * 220}.toml", f"{'d' * 220}.npz"
    shutil.copy(recipe_file("mlp"), here / recipe)
    (here / "data.npz").rename(here / data)
    assert main(["fit", recipe, "--data", data, "--epochs", "1", "--out", "r", *QUICK]) == 0
    assert main(["export", "r", "--to", "m"]) == 0
    metadata = load_model(here / "m").metadata
    assert (metadata.recipe, metadata.dataset) == ("r" * 200, "d" * 200)


def recipe_file(name: str) -> Path:
    return FOLDER / f"{name}.toml"


# --- Data that have moved ---------------------------------------------------------------------------------


@pytest.fixture
def run_of_relative_data(here: Path) -> Path:
    """A finished run whose data were named by a path relative to the folder where it was started."""
    assert main(["fit", "mlp", "--data", "data.npz", "--epochs", "1", "--out", "r", *QUICK]) == 0
    return here / "r"


def test_data_are_found_from_another_working_directory(
    run_of_relative_data: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert main(["resume", str(run_of_relative_data)]) == 0
    assert main(["export", str(run_of_relative_data), "--to", "m"]) == 0


@pytest.mark.parametrize("command", [["resume", "r"], ["export", "r", "--to", "m"]])
def test_data_that_moved_are_named_with_data(run_of_relative_data: Path, here: Path, fails: Fails, command: list[str]):
    (here / "data.npz").rename(here / "moved.npz")
    assert "name their new place with --data" in fails(*command)
    assert main([*command, "--data", "moved.npz"]) == 0
    write_npz(here / "others.npz", tiny_images(seed=9))
    message = fails(*command, "--data", "others.npz")
    assert message.startswith("the images of 'others.npz' are not those that the run began with")
    if command[0] == "export":
        text = load_model(here / "m").card
        assert text.count(" --data moved.npz ") == 2
        assert " data.npz" not in text


def test_a_recipe_of_ones_own_is_named_as_it_was_given(here: Path, fails: Fails, capsys: pytest.CaptureFixture[str]):
    shutil.copy(recipe_file("mlp"), here / "mlp.toml")
    assert main(["fit", "./mlp.toml", "--data", "data.npz", *QUICK, "--dry-run"]) == 0
    assert '"recipe_name": "./mlp.toml"' in capsys.readouterr().out


def test_train_images_of_evaluate_out_of_range(here: Path, capsys: pytest.CaptureFixture[str]):
    make_tiny_model_folder(here / "tiny")
    for number in ("19", "37"):
        assert code_of(["evaluate", "tiny", "--data", "data.npz", "--train-images", number]) == 2
        message = f"--train-images must be 20 to 36, the number of training images of data, not {number}"
        assert message in capsys.readouterr().err
    assert code_of(["evaluate", "tiny", "--data", "data.npz", "--train-images", "20"]) == 2
    assert "tiny was trained on 'none', not on 'data': leave --train-images out" in capsys.readouterr().err


def test_a_run_that_moved_with_its_data_is_resumed_there(
    run_of_relative_data: Path, here: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
):
    there = tmp_path_factory.mktemp("there")
    for name in ("r", "data.npz"):
        shutil.move(here / name, there / name)
    monkeypatch.chdir(there)
    assert main(["resume", "r"]) == 0


# --- Hints ------------------------------------------------------------------------------------------------


def run_hint(message: str, command: list[str]) -> None:
    """Run a command again with the first `--set …` that its error message suggests."""
    (hint, *_) = re.findall(r"`--set ([^`]+)`", message)
    assert main([*command, "--set", *shlex.split(hint)]) == 0, message


@pytest.mark.parametrize(
    ("recipe", "settings"),
    [
        ("mlp", ["train_images=20"]),
        ("mlp", ["batch_size=64", "packing=8"]),
        ("stacked-mnist", ["train_images=20", "packing=8"]),
        ("goodfellow2014", []),
        ("stacked-mnist", ["train_images=50000"]),
    ],
)
def test_a_batch_that_is_suggested_can_be_used(here: Path, fails: Fails, recipe: str, settings: list[str]):
    command = ["fit", recipe, "--data", "data.npz", "--dry-run", "--set", "conditional=false", *settings]
    run_hint(fails(*command), command)


def test_a_batch_that_no_data_can_fill_is_said(here: Path, fails: Fails):
    write_npz(here / "few.npz", tiny_images(20))
    setting = (
        'architecture={name="conv", generator_channels=[6, 4], discriminator_channels=[4, 6], group_deviation=true}'
    )
    message = fails("fit", "conv", "--data", "few.npz", "--set", "conditional=false", "packing=8", setting)
    assert "fewer than the smallest batch of this recipe, which is 32 images" in message
    assert message.endswith("give more images")


def test_a_z_dim_that_is_suggested_can_be_used(here: Path, fails: Fails):
    labels = np.arange(300) % 200
    np.savez(here / "classes.npz", images=np.repeat(tiny_images(100), 3, axis=0), labels=labels)
    command = ["fit", "conv", "--data", "classes.npz", "--dry-run", "--set", "batch_size=9"]
    run_hint(fails(*command), command)


def test_the_model_folder_that_fit_suggests_is_a_good_name_and_another_for_each_run(
    here: Path, monkeypatch: pytest.MonkeyPatch
):
    runs = ["runs/mlp", "a/mlp", "b/mlp", "runs/My Run!", "../x", "/tmp/x", "runs", "ÄÖ", "r" * 300]  # noqa: S108
    suggested = [suggest_model_folder(Path(run)) for run in runs]
    assert len(set(suggested)) == len(runs)
    assert suggested[0] == Path("exported/mlp")
    assert suggested[3] == Path("exported/my-run")
    for path in suggested:
        assert check_destination(path) is False
    (here / "exported" / "mlp").mkdir(parents=True)
    assert suggest_model_folder(Path("runs/mlp")) == Path("exported/mlp-2")
    monkeypatch.chdir(ROOT)
    assert suggest_model_folder(Path("runs/mine")) == Path("models/bundled/mine")
    assert suggest_model_folder(Path("runs/mnist-mlp")) == Path("models/bundled/mnist-mlp-2")


@pytest.mark.slow
def test_the_command_that_fit_suggests_works(chain: Path):
    fit = run("fit", "mlp", "--data", "data.npz", "--epochs", "1", "--out", "runs/A second one", *QUICK, cwd=chain)
    hint = fit.stdout.removeprefix("next: python -m training ").strip()
    assert hint == "export 'runs/A second one' --to exported/a-second-one"
    assert run(*shlex.split(hint), cwd=chain).returncode == 0
    assert run("sample", "exported/a-second-one", "--n", "4", "-o", "g.png", cwd=chain).returncode == 0


@pytest.mark.parametrize(
    ("command", "advice"),
    [
        (["fit", "mlp", "--out", "r"], "nothing was written; the same command starts again"),
        (["resume", "old run"], "to continue: python -m training resume 'old run'"),
        (["resume", "old run", "--data", "x.npz"], "to continue: python -m training resume 'old run' --data x.npz"),
        (["evaluate", "m"], "nothing was written; the same command starts again"),
        (["export", "r", "--to", "m"], "nothing was written; the same command starts again"),
        (["classifier", "--to", "f"], "nothing was written; the same command starts again"),
        (["sample", "m", "-o", "g.png"], "nothing was written; the same command starts again"),
        (["sample", "m", "--out", "d"], "the same command continues d: the shards that are there are complete"),
    ],
)
def test_an_interruption_says_how_to_continue_this_command(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: list[str], advice: str
):
    def interrupt(*_arguments: object, **_named: object) -> None:
        raise KeyboardInterrupt

    module = sys.modules[f"training.cli.{command[0]}"]
    monkeypatch.setattr(module, "run", interrupt)
    assert main(command) == 130
    assert capsys.readouterr().err == f"interrupted; {advice}\n"


def test_a_finished_run_says_why_nothing_is_trained(here: Path, capsys: pytest.CaptureFixture[str]):
    command = ["fit", "mlp", "--data", "data.npz", *QUICK]
    assert main([*command, "--minutes", "0.0001", "--out", "short", "--set", "epochs=1000"]) == 0
    assert main([*command, "--epochs", "1", "--out", "whole"]) == 0
    for name, reason in {
        "short": r"this run ended after epoch \d+ of 1000, because its `--minutes 0.0001` were over",
        "whole": "this run has trained all its 1 epochs",
    }.items():
        capsys.readouterr()
        assert main(["resume", name]) == 0
        assert re.search(f"{reason}; nothing is left to train. To train longer", capsys.readouterr().err)


def test_evaluate_takes_the_embedded_data_set_of_a_model(here: Path, monkeypatch: pytest.MonkeyPatch):
    asked = []

    def load(source: str, *_arguments: object, **_named: object) -> None:
        asked.append(source)
        raise KeyboardInterrupt

    monkeypatch.setattr("training.cli.inputs.load_data", load)
    for dataset in ("mnist", "stacked-mnist"):
        model = make_tiny_model_folder(here / dataset)
        metadata = load_model(model).metadata.model_copy(update={"dataset": dataset})
        loaded = replace(load_model(model), metadata=metadata)
        monkeypatch.setattr("training.cli.evaluate.load_named_model", lambda _name, loaded=loaded: loaded)
        assert main(["evaluate", str(model)]) == 130
    assert asked == ["mnist", "stacked-mnist"]


def test_watch_on_a_taken_port(chain: Path, fails: Fails):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert fails("watch", chain / "runs" / "mlp", "--port", str(port)) == (
            f"cannot listen on port {port} of 127.0.0.1: another program listens there. Choose another port, or take "
            "any free one by `--port 0`"
        )
    assert "cannot listen on port 8001 of no.such.host.invalid: " in fails(
        "watch", chain / "runs" / "mlp", "--host", "no.such.host.invalid"
    )


def test_a_model_in_rgb_is_evaluated_on_grey_pictures(here: Path):
    """A folder whose pictures are all grey is grey, also if its files could hold colours; earlier releases read RGB."""
    folder = make_tiny_model_folder(here / "m", image_shape=ImageShape(channels=3, height=16, width=16))
    write_pngs(here / "grey", tiny_images(40))
    data = load_model_data(load_model(folder), "grey", strict=False)
    assert data.shape.channels == 3
    assert data.images.shape == (36, 3, 16, 16)


def test_a_folder_of_images_does_not_hide_the_bundled_model_of_its_name(here: Path):
    shards = ["sample", "mnist-mlp", "--n", "4", "--out", "mnist-mlp"]
    assert main(shards) == 0
    assert main(shards) == 0  # continues the folder
    assert main(["sample", "mnist-mlp", "--n", "4", "-o", "grid.png"]) == 0
    assert main(["evaluate", "./mnist-mlp", "--data", "data.npz"]) == 1  # a path that holds no model
