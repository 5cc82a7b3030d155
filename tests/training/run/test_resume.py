"""Exact resume: a run that was killed at any moment ends in the same bytes as a run that was never stopped."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

from tests.processes import interruptible
from tests.training.support import (
    ROOT,
    environment,
    grid_bytes,
    make_config,
    play,
    tiny_recipe,
    write_npz,
)
from training.config import RunConfig
from training.data.dataset import Dataset
from training.errors import RunError, Terminated
from training.gan.game import Game
from training.run import loop, writer
from training.run.checkpoint import load_checkpoint, read_progress, save_checkpoint
from training.run.folder import RunFolder
from training.run.interruption import Interruption
from training.run.progress import Progress
from training.run.run import Run


def crash(mode: str, folder: Path) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.training.crash", mode, str(folder)],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=800,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return result


@pytest.mark.slow
def test_killed_at_any_file_it_ends_in_the_same_bytes(tmp_path: Path):
    result = crash("syncs", tmp_path)
    assert result["differences"] == []
    # Files: config, first grid, first stats; 4 + 2 states; 2 stats, 2 grids; 2 curves. 2 syncs each, 1 of the folder.
    assert result["kills"] == 2 * (3 + 6 + 4 + 2) + 1


@pytest.mark.slow
def test_a_run_from_a_model_killed_at_any_file_ends_in_the_same_bytes(tmp_path: Path):
    result = crash("start", tmp_path)
    assert result["differences"] == []
    # Files: start, config, first grid, first stats; 3 states; stats, grid, curves. 2 syncs each, 1 of the folder.
    assert result["kills"] == 2 * (4 + 3 + 3) + 1


@pytest.mark.slow
def test_an_extended_run_killed_at_any_file_ends_in_the_same_bytes(tmp_path: Path):
    """The first kill is before the first step."""
    result = crash("extension", tmp_path)
    assert result["differences"] == []
    # Files of each of the two epochs: first stats, 3 states; stats, grid, curves. Between them, the configuration. 2
    # syncs each; one was before the first kill.
    assert result["kills"] == 2 * (2 * 7 + 1) - 1


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_in_the_same_bytes(tmp_path: Path):
    result = crash("moments", tmp_path)
    assert result["differences"] == []
    assert result["kills"] == 9


@pytest.mark.slow
def test_killed_with_real_syncs_and_real_curves_it_ends_in_the_same_bytes(tmp_path: Path):
    result = crash("real", tmp_path)
    assert result["differences"] == []
    assert result["kills"] == 3


# --- In one process -------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def quick_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "draw_curves", lambda *_args, **_kwargs: b"curves")


def test_a_checkpoint_holds_the_whole_state(tmp_path: Path):
    """Each tensor of the restored game equals that of the saved game, and both draw the same random numbers next."""
    config = make_config(tiny_recipe("goodfellow2014", "epochs=2"), write_npz(tmp_path / "data.npz"))
    games: list[Game] = []

    class Kept(Game):
        def __init__(self, *args: object, **kwargs: object) -> None:
            super().__init__(*args, **kwargs)  # type: ignore[arg-type]
            games.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "Game", Kept)
        folder = RunFolder(tmp_path / "run")
        folder.create(config)
        play(folder, config)
        play(folder, config)
    first, second = games
    for part in ("generator", "discriminator"):
        a, b = getattr(first, part).state_dict(), getattr(second, part).state_dict()
        assert all(bool((a[name] == b[name]).all()) for name in a)
    averages = first.average.network.state_dict(), second.average.network.state_dict()
    assert all(bool((averages[0][name] == averages[1][name]).all()) for name in averages[0])
    for part in ("generator_optimiser", "discriminator_optimiser"):
        a, b = getattr(first, part).state_dict()["state"], getattr(second, part).state_dict()["state"]
        assert a.keys() == b.keys()
        assert len(a) > 0
        for index in a:
            assert all(bool((a[index][name] == b[index][name]).all()) for name in a[index])
    assert bool((first.draw_latents(3) == second.draw_latents(3)).all())


def test_pictures_and_records_of_a_future_that_did_not_happen_are_dropped(tmp_path: Path):
    config = make_config(tiny_recipe("mlp", "epochs=2"), write_npz(tmp_path / "data.npz"))
    for saved in (False, True):
        folder = RunFolder(tmp_path / f"run-{saved}")
        folder.create(config)
        if saved:
            play(folder, config)
        folder.write_grid(7, b"of an epoch that no saved state has seen")
        if saved:
            folder.stats_file.write_text("not even JSON\n")
        play(folder, config)
        assert list(grid_bytes(folder)) == ["00000.png", "00001.png", "00002.png"]
        assert [json.loads(line)["epoch"] for line in folder.stats_file.read_text().splitlines()] == [1, 2]


@pytest.mark.parametrize("left", ["stats.jsonl", "best.safetensors"])
def test_a_run_whose_saved_state_is_lost_does_not_begin_again(tmp_path: Path, left: str):
    """It would overwrite the records and the best state of a training of hours."""
    config = make_config(tiny_recipe("mlp", "epochs=2"), write_npz(tmp_path / "data.npz"))
    folder = RunFolder(tmp_path / "run")
    folder.create(config)
    play(folder, config)
    if left == "best.safetensors":
        folder.checkpoint_file.rename(folder.best_file)
        folder.stats_file.unlink()
    folder.checkpoint_file.unlink(missing_ok=True)
    before = {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file() and path.suffix != ".txt"}
    with pytest.raises(
        RunError, match=rf"has {left} of a training, but no checkpoint.safetensors to resume from"
    ) as told:
        play(folder, config)
    assert ("export its best state" in str(told.value)) == (left == "best.safetensors")
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize("minutes", [None, 1e-9])
def test_a_state_is_saved_before_the_first_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, minutes: float | None
):
    """However rarely a run saves its state: killed after its first epoch, it goes on and ends in the same bytes."""
    recipe = tiny_recipe("mlp", "epochs=2", "checkpoint_interval_s=3600")
    config = make_config(recipe, write_npz(tmp_path / "data.npz"), minutes=minutes)
    whole, killed = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "killed")
    whole.create(config)
    play(whole, config)
    killed.create(config)
    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "write_grid", lambda _self, epoch, _png: 1 / (1 - epoch))  # when epoch 1 is recorded
        with pytest.raises(ZeroDivisionError):
            play(killed, config)
    assert killed.stats_file.stat().st_size
    play(killed, config)
    if minutes is None:
        assert grid_bytes(killed).keys() - {"00000.png"} == grid_bytes(whole).keys() - {"00000.png"}
        a, b = load_file(killed.checkpoint_file), load_file(whole.checkpoint_file)
        assert all(torch.equal(a[name], b[name]) for name in a)


def test_a_state_is_saved_by_the_clock_and_not_by_the_time_of_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Where the data are few, measuring takes nearly all of the time; it must not be done again and again."""
    config = make_config(tiny_recipe("mlp", "epochs=4"), write_npz(tmp_path / "data.npz"))
    folder, now_s = RunFolder(tmp_path / "run"), [0.0]
    folder.create(config)

    def measure(of: Run) -> dict[str, float]:
        now_s[0] += config.recipe.checkpoint_interval_s
        return {"a": 1 / (4 - of.progress.epoch)}  # fails after epoch 4

    monkeypatch.setattr("training.run.run.time", SimpleNamespace(monotonic=lambda: now_s[0]))
    monkeypatch.setattr(loop, "measured", measure)
    with pytest.raises(ZeroDivisionError):
        play(folder, config)
    assert len(read_progress(folder.checkpoint_file).records) == 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("place", ["step", "measuring", "record"])
def test_a_signal_saves_the_state_first(tmp_path: Path, place: str, number: signal.Signals):
    config = make_config(tiny_recipe("mlp", "epochs=3", "checkpoint_interval_s=3600"), write_npz(tmp_path / "data.npz"))
    whole, stopped = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "stopped")
    whole.create(config)
    play(whole, config)
    stopped.create(config)
    step, write_curves, handlers = loop.play_step, RunFolder.write_curves, heard()

    def stop_in_step(game: Game, data: Dataset, batches: list[torch.Tensor], progress: Progress) -> None:
        if progress.step == 5:
            os.kill(os.getpid(), number)
            os.kill(os.getpid(), number)  # as `timeout` does
        step(game, data, batches, progress)

    def stop_in_measuring(run: Run) -> dict[str, float]:
        with run.interruption.at_once():
            if run.progress.epoch == 2:
                os.kill(os.getpid(), number)
                pytest.fail("it went on measuring")
        return {}

    def stop_in_record(self: RunFolder, png: bytes) -> None:
        if stopped.stats_file.read_text().count("\n") == 2:
            os.kill(os.getpid(), number)
        write_curves(self, png)

    with pytest.MonkeyPatch.context() as patch, interruptible():
        if place == "step":
            patch.setattr(loop, "play_step", stop_in_step)
        elif place == "measuring":
            patch.setattr(loop, "measured", stop_in_measuring)
        else:
            patch.setattr(RunFolder, "write_curves", stop_in_record)
        with pytest.raises(Terminated if number == signal.SIGTERM else KeyboardInterrupt):
            play(stopped, config)
    assert heard() == handlers
    saved = read_progress(stopped.checkpoint_file)
    assert (saved.step, len(saved.records)) == {"step": (6, 1), "measuring": (8, 1), "record": (8, 2)}[place]
    play(stopped, config)
    assert grid_bytes(stopped) == grid_bytes(whole)
    a, b = load_file(stopped.checkpoint_file), load_file(whole.checkpoint_file)
    assert all(torch.equal(a[name], b[name]) for name in a)


def heard() -> list[object]:
    return [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]


def test_only_a_second_ctrl_c_stops_at_once(monkeypatch: pytest.MonkeyPatch):
    with interruptible(), Interruption() as interruption:
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT):  # SIGINT too soon: perhaps the same signal
            os.kill(os.getpid(), number)
        monkeypatch.setattr("training.run.interruption.AT_ONCE_AFTER_S", 0)
        os.kill(os.getpid(), signal.SIGTERM)
        assert interruption.number == signal.SIGTERM
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_a_signal_that_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Interruption() as interruption:
            os.kill(os.getpid(), signal.SIGINT)
            assert interruption.number == 0
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("cut", [0, 7])
def test_the_events_of_steps_that_are_played_again_are_purged(tmp_path: Path, cut: int):
    """This also holds if the last record is cut off."""
    from tensorboard.backend.event_processing.event_accumulator import (  # type: ignore[import-untyped]
        EventAccumulator,
    )

    config = make_config(tiny_recipe("mlp", "epochs=3", "checkpoint_interval_s=3600"), write_npz(tmp_path / "data.npz"))
    folder = RunFolder(tmp_path / "run")
    folder.create(config)

    def stop(path: Path, game: Game, progress: Progress, config: RunConfig) -> None:
        if progress.finished:
            raise KeyboardInterrupt
        save_checkpoint(path, game, progress, config)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.run.writer.save_checkpoint", stop)  # epoch 3 ends, and its state is not saved
        with pytest.raises(KeyboardInterrupt):
            play(folder, config)
    (first,) = folder.tensorboard.iterdir()
    first.write_bytes(first.read_bytes()[: first.stat().st_size - cut])
    play(folder, config)
    events = EventAccumulator(str(folder.tensorboard))
    events.Reload()
    assert [event.step for event in events.Scalars("loss_d")] == [1, 2, 3]


def test_a_progress_of_all_epochs_survives_the_file(tmp_path: Path):
    config = make_config(tiny_recipe("mlp", "epochs=2"), write_npz(tmp_path / "data.npz"))
    folder = RunFolder(tmp_path / "run")
    folder.create(config)
    play(folder, config)
    game = Game(
        config.recipe,
        shape=config.image_shape,
        pixel_means=torch.zeros(config.image_shape.chw),
        seed=0,
        device=torch.device("cpu"),
    )
    progress = load_checkpoint(folder.checkpoint_file, game)
    assert progress.finished
    assert (progress.epoch, progress.position, progress.step, progress.images) == (3, 0, 8, 72)
    assert [record.epoch for record in progress.records] == [1, 2]
    assert [json.loads(line) for line in folder.stats_file.read_text().splitlines()] == [
        record.model_dump() for record in progress.records
    ]
