"""Extension: a run goes on past its end, with the learning rates of its new length, and is resumed exactly."""

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from models.model_folder.history import EpochRecord
from models.model_folder.read import load_model
from tests.training.support import CONSTANT_RATES, exported_bytes, grid_bytes, make_config, play, tiny_recipe, write_npz
from training.config import RunConfig
from training.errors import RunError, UsageError
from training.gan.game import Game
from training.recipe import MAX_EPOCHS
from training.run import writer
from training.run.checkpoint import read_progress
from training.run.extension import describe_extension, extend, has_ended
from training.run.folder import RunFolder
from training.run.progress import Progress
from training.run.watch import describe_run
from training.run.writer import FolderWriter

RATE = 0.01
FALLING = tuple(
    f'{player}_optimiser={{name="adam", learning_rate={RATE}, learning_rate_final=0.0}}'
    for player in ("generator", "discriminator")
)
STEPS = 4
"""Steps of an epoch: 36 training images in batches of 9."""


@pytest.fixture(autouse=True)
def quick_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "draw_curves", lambda *_args, **_kwargs: b"curves")


def config_of(tmp_path: Path, *overrides: str, minutes: float | None = None) -> RunConfig:
    return make_config(tiny_recipe("mlp", *FALLING, *overrides), write_npz(tmp_path / "data.npz"), minutes=minutes)


def after(epochs: int, *, seconds: float = 60.0, position: int = 0) -> Progress:
    """Return the progress of a run that has trained this many epochs, and `position` steps of the next one."""
    figures: dict[str, Any] = {
        "images": 0,
        "seconds": 0,
        "loss_d": 1,
        "loss_g": 1,
        "d_real": 0.5,
        "d_fake": 0.5,
        "value": -1,
    }
    return Progress(
        epoch=epochs + 1,
        position=position,
        step=STEPS * epochs + position,
        seconds=seconds,
        records=[EpochRecord(epoch=epoch, **figures) for epoch in range(1, epochs + 1)],
    )


def new_run(path: Path, config: RunConfig) -> RunFolder:
    folder = RunFolder(path)
    folder.create(config)
    play(folder, config)
    return folder


def go_on(folder: RunFolder, *, epochs: int | None = None, minutes: float | None = None) -> RunConfig:
    """Give a run a new length, as `resume` does; it does not train yet."""
    before = folder.read_config()
    progress = read_progress(folder.checkpoint_file)
    config = extend(before, progress, epochs=epochs, minutes=minutes)
    with FolderWriter(config, folder) as writing:
        writing.extend(describe_extension(before, config, progress))
    return config


# --- The new length -------------------------------------------------------------------------------


def test_epochs_are_those_of_the_whole_run(tmp_path: Path):
    config = config_of(tmp_path, "epochs=4", minutes=3)
    longer = extend(config, after(4), epochs=5, minutes=None)
    assert (longer.planned_epochs, longer.planned_minutes, longer.recipe.epochs, longer.minutes) == (5, None, 4, 3)
    (extension,) = longer.extensions
    assert (extension.after_epoch, extension.after_step, extension.asked) == (4, 4 * STEPS, "--epochs 5")
    assert longer.total_steps == 5 * STEPS
    shorter = extend(config, after(1, position=2), epochs=2, minutes=None)
    assert (shorter.planned_epochs, shorter.extensions[0].after_step) == (2, STEPS + 2)
    third = extend(longer, after(5), epochs=9, minutes=None)
    assert [e.epochs for e in third.extensions] == [5, 9]
    assert extend(config, after(2), epochs=None, minutes=None) is config


@pytest.mark.parametrize("epochs", [1, 3, 4])
def test_a_length_that_is_reached_already_is_refused(tmp_path: Path, epochs: int):
    config = config_of(tmp_path, "epochs=4")
    with pytest.raises(UsageError) as told:
        extend(config, after(4, seconds=90), epochs=epochs, minutes=None)
    seen = f"--epochs {epochs} is the length of the whole run, which has trained 4 epochs already: give more than 4"
    assert str(told.value) == seen
    with pytest.raises(
        UsageError, match=r"--minutes 1.5 is the length .* trained for 1\.50 minutes already: give more"
    ):
        extend(config, after(4, seconds=90), epochs=None, minutes=1.5)
    assert extend(config, after(4, seconds=90), epochs=None, minutes=1.51).planned_minutes == 1.51


def test_the_largest_number_of_epochs(tmp_path: Path):
    config = config_of(tmp_path, "epochs=4")
    assert extend(config, after(4), epochs=MAX_EPOCHS, minutes=None).planned_epochs == MAX_EPOCHS
    with pytest.raises(UsageError, match="at most 10,000,000, not 10,000,001"):
        extend(config, after(4), epochs=MAX_EPOCHS + 1, minutes=None)


def test_the_same_command_again_changes_nothing(tmp_path: Path):
    config = extend(config_of(tmp_path, "epochs=4"), after(4), epochs=8, minutes=None)
    assert extend(config, after(5), epochs=8, minutes=None) is config
    config = extend(config, after(5), epochs=None, minutes=2)
    assert extend(config, after(6, seconds=100), epochs=None, minutes=2) is config
    assert describe_extension(config, config, after(5)) == []
    assert extend(config, after(6), epochs=8, minutes=None).planned_minutes is None  # the limit of minutes goes


def test_minutes_bring_epochs_at_the_pace_so_far(tmp_path: Path):
    config = config_of(tmp_path, "epochs=4")
    # 4 epochs took 60 s, so 2.1 minutes are 8.4 epochs.
    assert extend(config, after(4), epochs=None, minutes=2.1).planned_epochs == 9
    # 2½ epochs took 60 s, so 1.5 minutes are 3.75 epochs, fewer than the recipe's.
    assert extend(config, after(2, position=2), epochs=None, minutes=1.5).planned_epochs == 4
    assert extend(config, after(4), epochs=None, minutes=1.001).planned_epochs == 5
    assert extend(config, Progress(), epochs=None, minutes=1).planned_epochs == 4  # there is no pace yet
    assert extend(config, after(4, seconds=1e-9), epochs=None, minutes=1e9).planned_epochs == MAX_EPOCHS


def test_when_a_run_has_ended(tmp_path: Path):
    config = extend(config_of(tmp_path, "epochs=2"), after(2), epochs=None, minutes=2)
    assert config.planned_epochs == 4
    assert not has_ended(config, after(3, seconds=119.9))
    assert has_ended(config, after(3, seconds=120))
    assert has_ended(config, after(4, seconds=90))


def test_the_log_says_which_rates_follow(tmp_path: Path):
    config = config_of(tmp_path, "epochs=4")
    longer = extend(config, after(4), epochs=16, minutes=None)
    length, rates = describe_extension(config, longer, after(4))
    assert length == "extended after epoch 4: the run goes on to epoch 16 (before: 4)"
    wanted = "from step 16 on, learning rates are those of a run of 16 epochs: G 0 → 0.0075, D 0 → 0.0075"
    assert rates == wanted
    rolled_back = after(4).model_copy(update={"rollbacks": 1})
    assert describe_extension(config, longer, rolled_back)[1].endswith("D 0 → 0.00375")
    timed = extend(config, after(4), epochs=None, minutes=2)
    assert (
        "to epoch 8, or to 2 minutes if these end earlier (before: 4)" in describe_extension(config, timed, after(4))[0]
    )


# --- The training ---------------------------------------------------------------------------------


def test_rates_follow_the_new_length_from_there_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    seen: list[tuple[int, float]] = []
    set_rates = Game.set_rates

    def noted(self: Game, *, step: int, steps: int, epoch: int, factor: float = 1.0) -> None:
        set_rates(self, step=step, steps=steps, epoch=epoch, factor=factor)
        seen.append((step, self.generator_optimiser.param_groups[0]["lr"]))

    monkeypatch.setattr(Game, "set_rates", noted)
    folder = new_run(tmp_path / "run", config_of(tmp_path, "epochs=2"))
    play(folder, go_on(folder, epochs=5))
    play(folder, go_on(folder, epochs=6))
    lengths = [2] * 2 + [5] * 3 + [6]
    wanted = [(s, RATE * (1 - s / (STEPS * lengths[s // STEPS]))) for s in range(6 * STEPS)]
    assert [step for step, _ in seen] == [step for step, _ in wanted]
    assert [rate for _, rate in seen] == pytest.approx([rate for _, rate in wanted])


def test_with_constant_rates_it_is_the_run_of_the_new_length(tmp_path: Path):
    """Nothing but the learning rates depends on the length, so a run that stops between is the same run."""
    data = write_npz(tmp_path / "data.npz")
    whole = new_run(tmp_path / "whole", make_config(tiny_recipe("mlp", *CONSTANT_RATES, "epochs=4"), data))
    folder = new_run(tmp_path / "run", make_config(tiny_recipe("mlp", *CONSTANT_RATES, "epochs=2"), data))
    play(folder, go_on(folder, epochs=4))
    a, b = load_file(whole.checkpoint_file), load_file(folder.checkpoint_file)
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert grid_bytes(folder).keys() == grid_bytes(whole).keys()
    assert len(folder.stats_file.read_text().splitlines()) == 4


@pytest.mark.parametrize("stopped_at", [2 * STEPS, 2 * STEPS + 1, 3 * STEPS - 1])
def test_an_interrupted_extension_ends_in_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stopped_at: int
):
    """It is stopped after some steps of the third epoch, and also begins again from the end of the second one."""
    config = config_of(tmp_path, "epochs=2", "checkpoint_interval_s=0")
    whole, stopped = (new_run(tmp_path / name, config) for name in ("whole", "stopped"))
    play(whole, go_on(whole, epochs=4))
    extended, step = go_on(stopped, epochs=4), Game.generator_step

    def stop(self: Game, real: object) -> float:
        if self.discriminator_optimiser.state_dict()["state"][0]["step"] == stopped_at + 1:
            raise ZeroDivisionError
        return step(self, real)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(Game, "generator_step", stop)
        with pytest.raises(ZeroDivisionError):
            play(stopped, extended)
    assert read_progress(stopped.checkpoint_file).step == stopped_at
    assert stopped.read_config() == extended
    play(stopped, go_on(stopped, epochs=4))  # the same command again
    assert stopped.read_config() == extended
    a, b = load_file(whole.checkpoint_file), load_file(stopped.checkpoint_file)
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert grid_bytes(stopped) == grid_bytes(whole)
    assert exported_bytes(stopped, extended, tmp_path / "m1") == exported_bytes(whole, extended, tmp_path / "m2")


def test_minutes_end_an_extension(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The clock goes on by a second with each step, and each epoch has 4 steps."""
    now_s = [0.0]

    def clock() -> float:
        now_s[0] += 0.5  # two calls for each step: one is of the save
        return now_s[0]

    monkeypatch.setattr("training.run.run.time", SimpleNamespace(monotonic=clock))
    folder = new_run(tmp_path / "run", config_of(tmp_path, "epochs=2", "checkpoint_interval_s=3600"))
    done_s = read_progress(folder.checkpoint_file).seconds
    config = go_on(folder, minutes=(2 * done_s) / 60)
    assert config.planned_epochs == 4
    assert config.planned_minutes == pytest.approx(2 * done_s / 60)
    play(folder, config)
    ended = read_progress(folder.checkpoint_file)
    assert ended.finished
    assert 2 < len(ended.records) <= 4
    play(folder, go_on(folder, minutes=3 * done_s / 60))
    assert len(read_progress(folder.checkpoint_file).records) > len(ended.records)


def test_a_best_state_of_before_can_still_be_exported(tmp_path: Path):
    config = config_of(tmp_path, "epochs=2")
    folder = new_run(tmp_path / "run", config)
    folder.checkpoint_file.rename(folder.best_file)
    folder.best_file.rename(folder.checkpoint_file)
    state = folder.checkpoint_file.read_bytes()
    extended = go_on(folder, epochs=3)
    play(folder, extended)
    folder.best_file.write_bytes(state)
    exported_bytes(folder, extended, tmp_path / "best")
    card = (tmp_path / "best" / "CARD.md").read_text()
    assert "| trained for | 2 of the recipe's 2 epochs, 72 images" in card
    assert "resume RUN" not in card


def test_the_card_tells_the_true_number(tmp_path: Path):
    folder = new_run(tmp_path / "run", config_of(tmp_path, "epochs=2"))
    play(folder, go_on(folder, epochs=3))
    config = go_on(folder, epochs=5)
    play(folder, config)
    exported_bytes(folder, config, tmp_path / "m")
    card = (tmp_path / "m" / "CARD.md").read_text()
    plan = "3 epochs (after epoch 2, extended from the recipe's 2 epochs)"
    assert f"| trained for | 5 of 5 epochs (after epoch 3, extended from {plan}), 180 images" in card
    assert (
        "--threads 1 --features wavelets\n    python -m training resume RUN --epochs 3    # after step 8\n"
        "    python -m training resume RUN --epochs 5    # after step 12\n    python -m training export RUN"
    ) in card
    assert load_model(tmp_path / "m").metadata.epochs == 5
    told = describe_run(folder)
    assert (told["epochs"], told["finished"]) == (5, True)
    assert "epoch 5/5 " in folder.log_file.read_text()


def test_extensions_cannot_be_changed_by_hand(tmp_path: Path):
    folder = new_run(tmp_path / "run", config_of(tmp_path, "epochs=2"))
    play(folder, go_on(folder, epochs=3))
    document = json.loads(folder.config_file.read_text())
    document["extensions"] = []
    folder.config_file.write_text(json.dumps(document))
    with pytest.raises(RunError, match=re.escape("extensions is [] now, and was [{")):
        play(folder, folder.read_config())


def test_a_configuration_of_an_earlier_release_is_extended(tmp_path: Path):
    folder = new_run(tmp_path / "run", config_of(tmp_path, "epochs=2"))
    document = json.loads(folder.config_file.read_text())
    for name in ("extensions", "init_from", "init_from_place"):
        del document[name]
    folder.config_file.write_text(json.dumps(document))
    play(folder, go_on(folder, epochs=3))
    assert len(read_progress(folder.checkpoint_file).records) == 3
