"""Exact resume: after any death the run ends in the same bytes as the run that was never stopped."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tests.training.support import (
    ROOT,
    TINY_MLP,
    command_line,
    environment,
    exported_bytes,
    grid_bytes,
    make_config,
    play,
    run,
    sets,
    tiny_recipe,
    write_npz,
)
from training import loop
from training.checkpoint import load_checkpoint
from training.cli import main
from training.game import Game
from training.run_folder import RunFolder


def crash(mode: str, folder: Path) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.training.crash", mode, str(folder)],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return result


def test_killed_at_any_file_it_ends_in_the_same_bytes(tmp_path: Path):
    result = crash("syncs", tmp_path)
    assert result["differences"] == []
    # config, the first grid, stats at the start, 4 + 2 states, 2 stats, 2 grids, 2 curves; 2 syncs each; the folder's.
    assert result["kills"] == 2 * (3 + 6 + 4 + 2) + 1


def test_killed_at_random_moments_it_ends_in_the_same_bytes(tmp_path: Path):
    result = crash("moments", tmp_path)
    assert result["differences"] == []
    assert isinstance(result["kills"], int)
    assert result["kills"] >= 3  # of 9: on a busy machine a run may end before its killer wakes


def test_kill_9_of_the_command_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """`fit` killed once it has logged an epoch, `resume` killed likewise, `resume` to the end."""
    data = write_npz(tmp_path / "data.npz")
    settings: list[str | Path] = ["--data", data, "--epochs", "50", "--threads", "1", "--seed", "3"]
    settings += sets([*TINY_MLP, "batch_size=18", "checkpoint_interval_s=0", "grid_every_epochs=10"])
    monkeypatch.setenv("GIT_DIR", os.devnull)
    assert main(["fit", "mlp", *map(str, settings), "--out", str(tmp_path / "whole")]) == 0
    killed = RunFolder(tmp_path / "killed")
    for arguments, epoch in ((["fit", "mlp", *settings, "--out", "killed"], 2), (["resume", "killed"], 9)):
        process = subprocess.Popen(
            command_line(*arguments), cwd=tmp_path, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        deadline = time.monotonic() + 60
        while not (killed.log_file.exists() and f"epoch {epoch}/50" in killed.log_file.read_text()):
            assert process.poll() is None, process.stderr and process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.002)
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    last = run("resume", "killed", cwd=tmp_path)
    assert last.returncode == 0
    assert "resumed at epoch" in last.stderr
    whole = RunFolder(tmp_path / "whole")
    assert grid_bytes(killed) == grid_bytes(whole)
    model = exported_bytes(killed, killed.read_config(), tmp_path / "a" / "m")
    assert model == exported_bytes(whole, whole.read_config(), tmp_path / "b" / "m")


# --- In one process -------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def quick_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "draw_curves", lambda *_args, **_kwargs: b"curves")


def test_a_checkpoint_holds_the_whole_state(tmp_path: Path):
    """Each tensor of a game that was put back equals the game's that was saved, and so do its next numbers."""
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
        folder.stats_file.write_text("not even JSON\n")
        play(folder, config)
        assert list(grid_bytes(folder)) == ["00000.png", "00001.png", "00002.png"]
        assert [json.loads(line)["epoch"] for line in folder.stats_file.read_text().splitlines()] == [1, 2]


def test_the_events_of_steps_that_are_played_again_are_purged(tmp_path: Path):
    from tensorboard.backend.event_processing.event_accumulator import (  # type: ignore[import-untyped]
        EventAccumulator,
    )

    config = make_config(tiny_recipe("mlp", "epochs=3", "checkpoint_interval_s=3600"), write_npz(tmp_path / "data.npz"))
    folder = RunFolder(tmp_path / "run")
    folder.create(config)

    def stop(*_args: object, **_kwargs: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.run.save_checkpoint", stop)  # epoch 3 is over, and nothing saved
        with pytest.raises(KeyboardInterrupt):
            play(folder, config)
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
