"""The benchmarks run, print their tables, and measure what they say. No figure of theirs is judged."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from benchmarks import processes
from benchmarks.ablation import CHANGES
from benchmarks.processes import Throughput
from benchmarks.trainers.writeup_loop import BATCH_SIZE, K, MemoryLoader, ObjectDataset, WriteupLoop, object_loader
from harness.report import describe_machine, table
from harness.repository import ROOT
from harness.tiny_models import make_tiny_model_folder
from models.networks.encoder import Encoder
from tests.benchmarks.commands import rows_of, run
from tests.training.evaluation.learned.support import labelled_images
from training.cli.command_line import main
from training.config import RunConfig
from training.data.dataset import load_dataset
from training.data.mnist import read_mnist
from training.gan.distributed import ALONE
from training.gan.game import Game
from training.recipe import load_recipe
from training.run.checkpoint import load_checkpoint
from training.run.folder import RunFolder


def test_table() -> None:
    assert table(["a", "b"], [["x", "10"], ["yy", "9"]]) == "| a  |  b |\n| -- | -: |\n| x  | 10 |\n| yy |  9 |"


def test_machine_is_named() -> None:
    assert f"torch {torch.__version__}" in describe_machine()


FEW = ("--samples", "200", "--threads", "1")
QUALITY = ("training_quality", "mlp", "--minutes", "0.001", "--every-s", "0.1", *FEW)


@pytest.mark.slow
def test_training() -> None:
    printed = run("training", "mlp", "--rounds", "1", "--seconds", "0.2", "--threads", "1")
    assert "| the write-up's loop " in printed
    assert "| mlp " in printed


def test_photos(tmp_path: Path) -> None:
    digits = read_mnist()[1][:2]  # a 7 and a 2
    labels = "file\tdigit\tkind\n"
    for name, picture, digit in (("a", digits[0], "7"), ("b", 255 - digits[1], "2"), ("c", digits[0] * 0, "-")):
        Image.fromarray(picture).resize((280, 280)).save(tmp_path / f"{name}.png")
        labels += f"{name}.png\t{digit}\t{'blank' if digit == '-' else 'photo'}\n"
    (tmp_path / "labels.tsv").write_text(labels, encoding="utf-8")
    rows = {row[0]: row[1:] for row in rows_of(run("photos", str(tmp_path), "mnist-mlp"))}
    assert rows["all photos"][:3] == ["2", "100 %", "0"]
    assert rows["blank"] == ["1", "–", "1", "0 %", "0 %"]


@pytest.mark.slow
def test_planted_faults() -> None:
    rows = {row[0]: row[1:] for row in rows_of(run("planted_faults", "--samples", "800", "--steps", "2"))}
    assert len(rows) == 2 + 7
    assert rows["shifted by 3 pixels"][0].startswith("**")
    assert "(p < 0.001)" in rows["the same, a tenth of them copies with small noise"][-2]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["classifier", "self-supervised"])
def test_features(kind: str, tmp_path: Path) -> None:
    images, labels = labelled_images(400)
    np.savez(tmp_path / "data.npz", images=images[:, 0].numpy(), labels=labels.numpy())
    printed = run("features", str(tmp_path / "data.npz"), "--kind", kind, "--images", "20", "--steps", "5")
    rows = {row[0]: row[1:] for row in rows_of(printed)}
    assert len(rows) == 2 + 8
    assert rows["other held-out images"][1] == rows["other held-out images"][5] == "1.0"
    assert float(rows["noisy (σ = 32 grey levels)"][1]) > 1


@pytest.mark.slow
def test_tone_curve() -> None:
    without, with_curve = rows_of(run("tone_curve", "mnist-mlp", "--images", "90"))[2:]
    assert [without[1], with_curve[1]] == ["no", "yes"]
    assert float(without[-1]) < 0.76
    assert 0.79 < float(with_curve[-1]) < 0.83


@pytest.mark.slow
def test_onnx_export(tmp_path: Path) -> None:
    tiny = make_tiny_model_folder(tmp_path / "tiny", classes=3)
    rows = rows_of(run("onnx_export", str(tiny), "--calls", "2"))[2:]
    assert [row[:2] for row in rows] == [["tiny", "G"], ["tiny", "D"]]
    assert all(float(cell) > 0 for row in rows for cell in row[3:])


@pytest.mark.slow
def test_real_images() -> None:
    rows = {row[0]: row[1:] for row in rows_of(run("real_images", "--images", "100"))}
    assert len(rows) == 2 + 3 + 4
    assert float(rows["random, seed 0"][-2]) > 0


@pytest.mark.slow
def test_training_quality() -> None:
    assert "not reached" in run(*QUALITY)
    assert "not reached" not in run(*QUALITY, "--target", "-100000")


@pytest.mark.slow
def test_against_writeup() -> None:
    printed = run("against_writeup", "--writeup-epochs", "0.01", "--rate-s", "0.2", *FEW)
    rows = [row for row in printed.splitlines() if row.startswith(("| the same", "| mlp", "| real"))]
    assert len(rows) == 3
    figures = [[float(cell) for cell in row.strip("| ").split("|")[-5:]] for row in rows]
    assert figures[2][0] < figures[0][0], "real images are nearer to real images"


@pytest.mark.slow
def test_against_an_estimate_of_the_writeup() -> None:
    printed = run("against_writeup", "--writeup-epochs", "0.5", "--rate-s", "0.2", "--estimate", *FEW)
    rows = [row.strip("| ").split("|") for row in printed.splitlines() if row.startswith(("| the same", "| mlp"))]
    assert "estimated" in rows[0][0]
    assert 0 < float(rows[1][2].replace(",", "")) < float(rows[0][2].replace(",", ""))
    assert [cell.strip() for cell in rows[0][-5:]] == ["–"] * 5
    assert all(float(cell) >= 0 for cell in rows[1][-5:])


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_of_the_ablation_is_a_recipe_of_its_own(change: str) -> None:
    recipe = load_recipe("mlp", list(CHANGES[change]))
    assert (recipe == load_recipe("mlp")) == (change == "the recipe")


@pytest.mark.slow
def test_ablation_refuses_a_row_that_is_none() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.ablation", "no such row"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: 'no such row' is not a row; the rows are: the recipe; ")


@pytest.mark.slow
def test_projection(tmp_path: Path) -> None:
    plain = make_tiny_model_folder(tmp_path / "plain")
    encoding = make_tiny_model_folder(tmp_path / "encoding", encoder=Encoder(widths=(4,)))
    printed = run("projection", str(plain), str(encoding), "--own", "1", "--test", "2")
    rows = [[cell.strip() for cell in line.split("|")[1:4]] for line in printed.splitlines()[4:]]
    of_each = [["plain", "no"], ["encoding", "no"], ["encoding", "yes"]]
    assert rows == [[*head, images] for head in of_each for images in ("1 its own", "2 MNIST test")]


def test_writeup_loaders_agree() -> None:
    images = read_mnist()[0][:300]
    dataset = ObjectDataset(images)
    assert torch.equal(dataset[7][0], torch.from_numpy(images[7].astype(np.float32) / 255).sub(0.5).div(0.5))
    sizes = [BATCH_SIZE, BATCH_SIZE, 300 - 2 * BATCH_SIZE]  # mistake 4: the last, smaller batch is kept
    assert [len(batch) for batch in object_loader(images)] == sizes
    assert [len(batch) for batch in MemoryLoader(images)] == sizes
    everything = torch.cat(list(MemoryLoader(images))).flatten(1).sort(dim=0).values
    assert torch.allclose(everything, torch.stack([dataset[k] for k in range(300)]).flatten(1).sort(dim=0).values)


def test_writeup_loop_makes_its_mistakes(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = WriteupLoop()
    real = next(iter(MemoryLoader(read_mnist()[0][:BATCH_SIZE])))
    backward: list[int] = []
    drawn: list[torch.Tensor] = []
    seen: list[torch.Tensor] = []
    monkeypatch.setattr(torch.Tensor, "backward", _counting(torch.Tensor.backward, backward))
    monkeypatch.setattr(torch, "randn", _keeping(torch.randn, drawn))
    loop.generator.register_forward_hook(lambda _module, inputs, _output: seen.append(inputs[0]))
    weights = [p.detach().clone() for p in loop.discriminator.parameters()]
    gradients: list[bool] = []
    loop.discriminator_optimiser.register_step_pre_hook(
        lambda *_: gradients.append(all(p.grad is not None for p in loop.generator.parameters()))
    )
    loop.step(real)
    assert len(backward) == 2  # mistake 1: one for D, although it computes K losses; one for G
    assert len(drawn) == K
    assert gradients == [True]  # mistake 2: D's step leaves gradients in G
    assert seen[K] is drawn[K - 1]  # mistake 3: G's step takes D's last latents
    assert any(not torch.equal(a, b) for a, b in zip(weights, loop.discriminator.parameters(), strict=True))


def _counting(function, calls):
    def counted(*arguments, **options):
        calls.append(1)
        return function(*arguments, **options)

    return counted


def _keeping(function, results):
    def kept(*arguments, **options):
        results.append(function(*arguments, **options))
        return results[-1]

    return kept


def test_processes() -> None:
    """What each process measures, and the row; that two of them are started by torch is tested with training."""
    alone = processes.measure("goodfellow2014", ALONE, seconds=0.2, threads=1)
    assert alone.rate > 0
    assert alone.processor_ms > 0
    assert alone.averaging < 0.01
    rates = ((100, 200, 110), (5, 5, 5), (150, 400, 165))
    ways = [[Throughput(rate, 4000 / rate, 0.25) for rate in of] for of in rates]
    assert processes._row("conv", ways) == ["conv", "110", "5", "165", "1.50", "1.50 – 2.00", "25%", "× 0.50"]


@pytest.mark.slow
def test_weight_averages(tmp_path: Path) -> None:
    """The command keeps the states of a finished run, measures their averages, and writes one that can be exported."""
    run_folder, states, copy = tmp_path / "run", tmp_path / "states", tmp_path / "copy"
    settings = ["architecture.generator_widths=[12]", "architecture.maxout_units=[6]", "metrics_every_epochs=0"]
    fit = ["fit", "goodfellow2014", "--epochs", "2", "--set", *settings, "train_images=200", "--out", str(run_folder)]
    assert main(fit) == 0
    run("weight_averages", "keep", str(run_folder), str(states))
    (last,) = states.iterdir()
    itself, averaged = rows_of(run("weight_averages", "measure", str(run_folder), str(states), "7"))[2:]
    assert (itself[0], averaged[0]) == ("G itself", "7 epochs")
    assert itself[1:] == averaged[1:]  # there is only one state
    run("weight_averages", "write", str(run_folder), str(states), str(copy), "--halflife", "30")
    saved, old = (load_file(folder / "checkpoint.safetensors") for folder in (copy, run_folder))
    for name, tensor in load_file(last).items():
        assert torch.equal(saved[name.replace("generator.", "average.", 1)], tensor)
        assert torch.equal(saved[name], old[name])
    config = RunFolder(copy).read_config()
    assert config.recipe.ema_halflife_images == 30 * 200
    assert config.overrides[-1] == "ema_halflife_images=6000"
    load_checkpoint(copy / "checkpoint.safetensors", _game_of(config), config)  # which checks its settings


def _game_of(config: RunConfig) -> Game:
    return Game.of(config, load_dataset("mnist").first(config.recipe.train_images), device=torch.device("cpu"))
