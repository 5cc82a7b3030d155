"""The check of a GPU, rehearsed on the CPU with small numbers."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.gpu import __main__ as command
from benchmarks.gpu import steps
from benchmarks.gpu.pictures import levels_between
from benchmarks.gpu.steps import Speed, configure, data_for, first_losses, measure_speed
from benchmarks.gpu.ways import WAYS, measure_way, tf32
from harness.repository import ROOT
from harness.tiny_models import make_tiny_model_folder
from tests.benchmarks.commands import rows_of, run
from training.gan.game import Game
from training.recipe import recipe_names

CPU = torch.device("cpu")
SMALL = ("--images", "256", "--side", "16", "--seconds", "0.01")
NOTHING = ("--tests", "--recipes", "--ways-of", "--models")


def check(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["gpu", *arguments])
    return command.main()


def test_without_a_gpu(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert check(monkeypatch) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("error: this check needs a GPU: device 'cuda' was asked for, but torch ")
    assert printed.out == ""


@pytest.mark.slow
def test_rehearsal(tmp_path: Path) -> None:
    tiny = make_tiny_model_folder(tmp_path / "tiny", quantised=True)
    ways = ["float32", "bfloat16", "float32, channels_last"]
    arguments = ["--tests", "tests/models/test_device.py", "--recipes", "mlp", "--ways-of", "mlp", "--ways", *ways]
    printed = run("gpu", "--device", "cpu", *arguments, "--models", str(tiny), "--calls", "1", "64", *SMALL)
    assert printed.startswith("REHEARSAL on the CPU, not on a GPU; ")
    assert " passed in " in printed
    rows = {row[0]: row[1:] for row in rows_of(printed)}
    assert rows["mlp"][0] == rows["mlp"][1]
    assert [f"mlp: {way}" in rows for way in ways] == [True] * 3
    assert rows["mlp: float32"][1] == "1.00"
    assert rows["tiny"][:3] == ["0", "0.0000%", "0.0e+00"]
    assert rows["tiny"][-1] == "0"


@pytest.mark.parametrize("recipe", recipe_names())
def test_first_losses_of_each_recipe(recipe: str) -> None:
    """The losses are finite, and do not depend on the random numbers of the game."""
    config, data = configure(recipe, data_for(recipe, images=256, side=16), device="cpu")
    losses = first_losses(config, data, device=CPU)
    assert all(np.isfinite(losses))
    assert losses == first_losses(config, data, device=CPU)


def test_a_wrong_loss_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    losses = iter([(0.7, 0.702), (0.7, 0.7), (0.7, float("nan")), (0.7, 0.7), (0.7, 0.7006), (0.7, 0.7)])
    monkeypatch.setattr(command, "first_losses", lambda *_, **__: next(losses))
    monkeypatch.setattr(command, "measure_speed", lambda *_, **__: Speed(10.0, None))
    arguments = ("--device", "cpu", *NOTHING, "--recipes", "mlp", "mlp", "mlp", *SMALL)
    assert check(monkeypatch, *arguments) == 1
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("wrong: ")]
    assert [line.split(" are ")[1] for line in told] == [
        "0.700000, 0.700000, 0.702000, 0.700000",
        "0.700000, 0.700000, nan, 0.700000",
    ]


def test_the_check_goes_on_after_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A recipe and a model that fail are told, and the next section is printed."""

    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("no kernel image is available\nmore")

    monkeypatch.setattr(command, "measure_speed", fails)
    arguments = ("--device", "cpu", *NOTHING, "--recipes", "mlp", "--models", str(tmp_path), *SMALL)
    assert check(monkeypatch, *arguments) == 1
    printed = capsys.readouterr()
    assert "wrong: mlp: RuntimeError: no kernel image is available\n" in printed.err
    assert f"wrong: {tmp_path}: Model" in printed.err
    assert "## Serving" in printed.out


def test_failing_tests_are_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(monkeypatch, "--device", "cpu", *NOTHING, "--tests", "no/such/test.py") == 1
    assert "wrong: the tests ended with code 4" in capsys.readouterr().err


def test_pictures_are_trained_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command is the one that `fit` takes; a folder without pictures ends it before it trains."""
    out = tmp_path / "run"
    arguments = ("--pictures", str(tmp_path), "--minutes", "0.01", "--out", str(out))
    assert check(monkeypatch, "--device", "cpu", *NOTHING, *arguments) == 1
    assert not out.exists()


def test_all_tests_of_a_device_exist() -> None:
    assert all((ROOT / path).exists() for path in command.TESTS)


def test_a_way_that_fails_shows_its_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(self: Game, *_: object, **__: object) -> None:
        raise RuntimeError("no compiler\nand more")

    monkeypatch.setattr(steps, "play_step", fails)
    data = data_for("mlp", images=256, side=16)
    shown = measure_way("float32", "mlp", data, device_name="cpu", device=CPU, seconds=0.01)
    assert shown == "RuntimeError: no compiler"


def test_the_ways_change_the_game() -> None:
    config, data = configure("conv", data_for("conv", images=256, side=16), device="cpu")
    seen: list[Game] = []

    def prepare(game: Game) -> None:
        WAYS["float32, channels_last"].prepare(game)
        seen.append(game)

    assert measure_speed(config, data, device=CPU, seconds=0, prepare=prepare).images_per_s > 0
    maps = [weight for weight in seen[0].discriminator.parameters() if weight.ndim == 4 and weight.shape[1] > 1]
    assert maps
    assert all(weight.is_contiguous(memory_format=torch.channels_last) for weight in maps)


def test_tf32_is_restored() -> None:
    before = torch.backends.cuda.matmul.fp32_precision
    with tf32("everywhere"):
        assert torch.backends.cuda.matmul.fp32_precision == "tf32"
    assert torch.backends.cuda.matmul.fp32_precision == before


def test_levels_do_not_wrap_around() -> None:
    some, others = np.array([[3, 255]], dtype=np.uint8), np.array([[5, 0]], dtype=np.uint8)
    assert levels_between(some, others).tolist() == [[2, 255]]
