"""A run that collapses: the alarms that are recorded, and a rollback that equals the same training, step by step."""

import json
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from models.model_folder.history import TrainingEvent
from models.model_folder.read import load_model
from tests.training.run.test_resume import crash
from tests.training.support import (
    CONSTANT_RATE,
    CONSTANT_RATES,
    Script,
    exported_bytes,
    falling,
    grid_bytes,
    make_config,
    play,
    report,
    tiny_recipe,
    write_npz,
)
from training.config import RunConfig
from training.data.dataset import load_dataset
from training.errors import NotFiniteError
from training.gan.game import Game
from training.run import loop, writer
from training.run.alarm_response import MAX_ROLLBACKS
from training.run.checkpoint import load_checkpoint
from training.run.folder import RunFolder
from training.run.loop import epoch_batches, play_step
from training.run.progress import Progress

FALLING: Script = partial(falling, at=3)

COLLAPSE = "coverage fell from 0.800 in epoch 2 to 0.100"


@pytest.fixture(autouse=True)
def quick_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "draw_curves", lambda *_args, **_kwargs: b"curves")


class Runs:
    """Runs of one tiny recipe with 4 steps per epoch, each in a folder of its own."""

    def __init__(self, root: Path, patch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.data = write_npz(root / "data.npz")
        self.patch = patch

    def begin(self, *overrides: str, rollback: bool = True, script: Script = FALLING) -> tuple[RunFolder, RunConfig]:
        report(script, patch=self.patch.setattr)
        recipe = tiny_recipe("mlp", "metrics_every_epochs=1", "epochs=4", *CONSTANT_RATES, *overrides)
        config = make_config(recipe, self.data, on_collapse="rollback" if rollback else "warn")
        folder = RunFolder(self.root / f"run-{len(list(self.root.iterdir()))}")
        folder.create(config)
        return folder, config

    def whole(self, *overrides: str, rollback: bool = True, script: Script = FALLING) -> RunFolder:
        folder, config = self.begin(*overrides, rollback=rollback, script=script)
        play(folder, config)
        return folder

    def poison(self, *, epoch: int, step: int, player: str = "generator", times: int = 1) -> None:
        """Make a weight NaN before that step of that epoch, until the run has gone back `times` times."""
        real_step = loop.play_step

        def poisoned(game: Game, data: object, batches: list[torch.Tensor], progress: Progress) -> None:
            if (progress.epoch, progress.position) == (epoch, step) and progress.rollbacks < times:
                with torch.no_grad():
                    next(getattr(game, player).parameters()).fill_(float("nan"))
            real_step(game, data, batches, progress)  # type: ignore[arg-type]

        self.patch.setattr(loop, "play_step", poisoned)


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runs:
    return Runs(tmp_path, monkeypatch)


def events(folder: RunFolder) -> list[TrainingEvent]:
    return [TrainingEvent.model_validate_json(line) for line in folder.events_file.read_text().splitlines()]


def epochs(folder: RunFolder) -> list[int]:
    return [json.loads(line)["epoch"] for line in folder.stats_file.read_text().splitlines()]


def game_of(config: RunConfig) -> Game:
    data = load_dataset(config.data)
    return Game.of(config, data, device=torch.device("cpu"))


def weights(network: nn.Module) -> list[torch.Tensor]:
    return [tensor.clone() for tensor in network.state_dict().values()]


# --- Rollback ------------------------------------------------------------------------------------


@pytest.mark.parametrize("recipe", [(), ("d_steps=2",)])
def test_a_collapsed_run_goes_on_from_its_best_state_with_another_order_and_half_the_rates(
    runs: Runs, recipe: tuple[str, ...]
):
    """Compare with training without the loop: two epochs, another random stream, two epochs at half the rates."""
    folder, config = runs.begin(*recipe)
    play(folder, config)

    game, progress, data = game_of(config), Progress(), load_dataset(config.data)

    def play_epochs(first: int, last: int, *, rollbacks: int) -> None:
        for epoch in range(first, last + 1):
            for batches in epoch_batches(config, epoch, start=0, rollbacks=rollbacks):
                play_step(game, data, batches, progress)

    rates = [optimiser.param_groups[0] for optimiser in (game.generator_optimiser, game.discriminator_optimiser)]
    play_epochs(1, 2, rollbacks=0)
    assert [group["lr"] for group in rates] == [CONSTANT_RATE, CONSTANT_RATE]
    for group in rates:
        group["lr"] = CONSTANT_RATE / 2
    game.reseed(1)
    play_epochs(3, 4, rollbacks=1)

    seen = game_of(config)
    last = load_checkpoint(folder.checkpoint_file, seen)
    for wanted, network in (
        (game.generator, seen.generator),
        (game.discriminator, seen.discriminator),
        (game.average.network, seen.average.network),
    ):
        assert all(torch.equal(a, b) for a, b in zip(weights(wanted), weights(network), strict=True))
    assert torch.equal(game.rng.get_state(), seen.rng.get_state())
    assert (last.step, last.images, last.rollbacks, last.finished) == (16, 144, 1, True)
    assert epochs(folder) == [1, 2, 3, 4]


def test_it_is_put_on_record_everywhere(runs: Runs, capsys: pytest.CaptureFixture[str]):
    folder, config = runs.begin()
    play(folder, config)
    action = "went back to epoch 2; learning rates are now 0.5 times the recipe's"
    assert events(folder) == [TrainingEvent(epoch=3, kind="collapse", detail=COLLAPSE, action=action)]
    said = f"alarm in epoch 3: collapse: {COLLAPSE} ({action})"
    assert said in capsys.readouterr().err.splitlines()
    assert said in folder.log_file.read_text()
    exported_bytes(folder, config, runs.root / "models" / "mine")
    history = load_model(runs.root / "models" / "mine").history
    assert list(history.events) == events(folder)
    assert [record.metrics for record in history.epochs] == [falling(epoch, 1, at=3) for epoch in (1, 2, 3, 4)]


def test_the_curves_of_tensorboard_go_back_too(runs: Runs):
    from tensorboard.backend.event_processing.event_accumulator import (  # type: ignore[import-untyped]
        EventAccumulator,
    )

    folder = runs.whole()
    accumulator = EventAccumulator(str(folder.tensorboard))
    accumulator.Reload()
    assert [event.step for event in accumulator.Scalars("frechet")] == [1, 2, 3, 4]
    assert [event.value for event in accumulator.Scalars("frechet")] == pytest.approx([50, 25, 50 / 3, 12.5])


def test_a_second_order_of_the_data_is_another_order_of_the_same_data(runs: Runs):
    _, config = runs.begin()
    orders = [torch.cat([torch.cat(b) for b in epoch_batches(config, 3, start=0, rollbacks=k)]) for k in range(4)]
    assert len({tuple(order.tolist()) for order in orders}) == 4
    assert all(len(set(order.tolist())) == 36 for order in orders)


def test_each_rollback_halves_the_rates_again_and_draws_other_numbers(runs: Runs):
    game = game_of(runs.begin()[1])
    drawn = []
    for rollbacks in range(MAX_ROLLBACKS + 1):
        game.reseed(rollbacks)
        drawn.append(game.draw_latents(2).flatten().tolist())
        game.set_rates(step=3, steps=9, epoch=1, factor=0.5**rollbacks)
        assert game.generator_optimiser.param_groups[0]["lr"] == CONSTANT_RATE * 0.5**rollbacks
    assert len({tuple(latents) for latents in drawn}) == MAX_ROLLBACKS + 1


def test_pictures_of_what_did_not_last_are_dropped(runs: Runs):
    """The run goes back from epoch 3 to epoch 2 and stops there: nothing of epoch 3 is left."""
    folder, config = runs.begin()

    def stop(*_arguments: object) -> None:
        raise KeyboardInterrupt

    real_step = loop.play_step
    runs.patch.setattr(
        loop,
        "play_step",
        lambda game, data, batches, progress: (stop if progress.rollbacks else real_step)(
            game, data, batches, progress
        ),
    )
    with pytest.raises(KeyboardInterrupt):
        play(folder, config)
    assert list(grid_bytes(folder)) == ["00000.png", "00001.png", "00002.png"]
    assert epochs(folder) == [1, 2]
    best, last = load_file(folder.best_file), load_file(folder.checkpoint_file)
    assert {name for name in best if not torch.equal(best[name], last[name])} == {"rng"}


def test_with_warn_a_collapsed_run_goes_on_as_if_nothing_was(runs: Runs):
    fallen = runs.whole(rollback=False)
    assert [(event.epoch, event.kind, event.action) for event in events(fallen)] == [
        (3, "collapse", "training went on")
    ]
    well = runs.whole(rollback=False, script=partial(falling, at=99))
    assert not well.events_file.exists()
    a, b = load_file(fallen.checkpoint_file), load_file(well.checkpoint_file)
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_a_collapse_in_the_last_epoch_is_told_and_the_best_state_is_exported(runs: Runs):
    folder, config = runs.begin("epochs=3")
    play(folder, config)
    assert [(event.epoch, event.action) for event in events(folder)] == [(3, "training went on")]
    exported_bytes(folder, config, runs.root / "models" / "mine")
    model = load_model(runs.root / "models" / "mine")
    assert model.metadata.epochs == 2
    assert [record.epoch for record in model.history.epochs] == [1, 2]
    assert [entry.epoch for entry in model.timeline] == [0, 1, 2]  # only up to the epoch of the exported G
    assert list(model.history.events) == events(folder)


def test_the_best_state_has_its_picture_whenever_it_is_found(runs: Runs):
    def best_at_3(epoch: int, _rollbacks: int) -> dict[str, float]:
        return {"frechet": abs(epoch - 3) + 1.0, "coverage": 0.8}

    folder, config = runs.begin("epochs=5", "grid_every_epochs=2", script=best_at_3)
    play(folder, config)
    exported_bytes(folder, config, runs.root / "models" / "mine")
    assert [entry.epoch for entry in load_model(runs.root / "models" / "mine").timeline] == [0, 1, 2, 3]
    assert list(grid_bytes(folder)) == [f"{epoch:05d}.png" for epoch in range(6)]


def test_each_early_epoch_has_a_grid_and_later_ones_follow_the_setting():
    """A set of 50 pictures has epochs of one step: drawing after each of 2,000 takes many times as long as training."""
    assert [epoch for epoch in range(1, 31) if loop.is_grid_due(epoch, every=15)] == [*range(1, 11), 15, 30]
    assert [epoch for epoch in range(1, 8) if loop.is_grid_due(epoch, every=3)] == [1, 2, 3, 6]
    assert [epoch for epoch in range(1, 4001) if loop.is_grid_due(epoch, every=2000)] == [*range(1, 11), 2000, 4000]


def let_d_win(runs: Runs) -> None:
    """From now on, each step of a run reports that D has won."""
    real_step = loop.play_step

    def winning(game: Game, data: object, batches: list[torch.Tensor], progress: Progress) -> None:
        real_step(game, data, batches, progress)  # type: ignore[arg-type]
        progress.sums.d_real, progress.sums.d_fake = (part * progress.sums.discriminator_steps for part in (0.99, 0.01))

    runs.patch.setattr(loop, "play_step", winning)


def test_a_state_with_the_alarm_is_not_gone_back_to(runs: Runs):
    """D wins in epoch 3, whose figures are the best so far: the run goes back to 2, and it is told again."""
    let_d_win(runs)
    folder = runs.whole("epochs=8", script=partial(falling, at=99))
    assert [(event.epoch, event.kind, event.action.split(";")[0]) for event in events(folder)] == [
        (3, "discriminator-won", "went back to epoch 2"),
        (5, "discriminator-won", "went back to epoch 4"),
        (7, "discriminator-won", "went back to epoch 6"),
    ]


def test_without_a_state_from_before_the_alarm_the_run_goes_on(runs: Runs):
    """The first measured state has the alarm already: it is kept as the best, and the run does not go back to it."""
    let_d_win(runs)
    folder = runs.whole(script=lambda epoch, _rollbacks: falling(epoch, 0, at=99) if epoch >= 3 else {})
    assert [(event.epoch, event.action) for event in events(folder)] == [(3, "training went on")]
    assert folder.best_file.exists()


# --- NaN and infinity ----------------------------------------------------------------------------


@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_a_nan_falls_back_too(runs: Runs, player: str):
    runs.poison(epoch=3, step=1, player=player)
    folder, config = runs.begin(script=partial(falling, at=99))
    play(folder, config)
    (event,) = events(folder)
    assert (event.epoch, event.kind, event.action) == (
        3,
        "not-finite",
        "went back to epoch 2; learning rates are now 0.5 times the recipe's",
    )
    assert event.detail.startswith("epoch 3, step 10: D's loss is nan")
    assert epochs(folder) == [1, 2, 3, 4]
    assert all(bool(tensor.isfinite().all()) for tensor in load_file(folder.checkpoint_file).values())


def test_figures_that_are_not_finite_roll_back_too(runs: Runs):
    def broken(epoch: int, rollbacks: int) -> dict[str, float]:
        if epoch == 3 and not rollbacks:
            raise NotFiniteError("frechet of G's samples is nan")
        return falling(epoch, rollbacks, at=99)

    (event,) = events(folder := runs.whole(script=broken))
    assert (event.epoch, event.kind, event.detail) == (3, "not-finite", "frechet of G's samples is nan")
    assert epochs(folder) == [1, 2, 3, 4]


def test_without_rollback_a_nan_ends_the_run(runs: Runs):
    runs.poison(epoch=3, step=1)
    folder, config = runs.begin("checkpoint_interval_s=0", rollback=False)
    with pytest.raises(NotFiniteError, match=r"^epoch 3, step 10: D's loss is nan"):
        play(folder, config)
    (event,) = events(folder)
    assert (event.epoch, event.kind, event.action) == (3, "not-finite", "training stopped")
    state = load_checkpoint(folder.checkpoint_file, game_of(config))
    assert (state.epoch, state.position) == (3, 1)


def test_before_there_is_a_best_state_a_nan_ends_the_run(runs: Runs):
    runs.poison(epoch=1, step=2)
    folder, config = runs.begin()
    with pytest.raises(NotFiniteError, match="D's loss is nan"):
        play(folder, config)
    assert [event.action for event in events(folder)] == ["training stopped"]


# --- Too many rollbacks ---------------------------------------------------------------------------


def test_after_so_many_falls_a_nan_ends_the_run(runs: Runs):
    runs.poison(epoch=2, step=1, times=99)
    folder, config = runs.begin()
    with pytest.raises(NotFiniteError, match="D's loss is nan"):
        play(folder, config)
    assert MAX_ROLLBACKS == 5
    assert [event.action for event in events(folder)] == [
        *(
            f"went back to epoch 1; learning rates are now {rate} times the recipe's"
            for rate in ("0.5", "0.25", "0.125", "0.0625", "0.03125")
        ),
        "training stopped",
    ]
    assert load_checkpoint(folder.checkpoint_file, game_of(config)).rollbacks == 5


def test_after_so_many_falls_a_collapse_is_only_told(runs: Runs):
    def again_and_again(epoch: int, _rollbacks: int) -> dict[str, float]:
        return falling(epoch, 0, at=2)

    folder = runs.whole(script=again_and_again)
    assert [event.action.split(";")[0] for event in events(folder)] == ["went back to epoch 1"] * 5 + [
        "training went on"
    ]
    assert epochs(folder) == [1, 2, 3, 4]


# --- Killed ---------------------------------------------------------------------------------------


@pytest.mark.slow
def test_killed_before_any_file_around_a_rollback_it_ends_in_the_same_bytes(tmp_path: Path):
    result = crash("rollback", tmp_path)
    assert result["differences"] == []
    assert isinstance(result["kills"], int)
    assert result["kills"] > 10
