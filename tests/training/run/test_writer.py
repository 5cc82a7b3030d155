"""The writer of each process: the first one writes, and the others only check the state."""

import inspect
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from models.model_folder.history import EpochRecord
from tests.training.support import make_config, make_game, tiny_recipe, write_npz
from training.config import RunConfig
from training.errors import NotFiniteError, RunError
from training.gan.distributed import ALONE, Processes
from training.gan.game import Game
from training.run import writer as module
from training.run.checkpoint import read_progress
from training.run.folder import RunFolder
from training.run.progress import Progress
from training.run.writer import FolderWriter, RunWriter, open_writer

RECORD = EpochRecord(epoch=1, images=36, seconds=1.0, loss_d=0.7, loss_g=0.7, d_real=0.5, d_fake=0.5, value=-1.4)


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunConfig:
    monkeypatch.setattr(module, "draw_curves", lambda *_args, **_kwargs: b"curves")
    return make_config(tiny_recipe("mlp"), write_npz(tmp_path / "data.npz"))


def calls(writer: RunWriter, game: Game) -> dict[str, Callable[[], None]]:
    """Return a call of every method of a writer, in the order of a run."""
    progress = Progress(records=[RECORD], epoch=2)
    return {
        "create": writer.create,
        "log": lambda: writer.log("logged"),
        "rewrite": lambda: writer.rewrite(progress),
        "start": lambda: writer.start(progress, total_steps=4),
        "say": lambda: writer.say("said"),
        "step": lambda: writer.step(progress),
        "extend": lambda: writer.extend(["extended"]),
        "write_grid": lambda: writer.write_grid(1, game),
        "write_stats": lambda: writer.write_stats(progress.records),
        "write_events": lambda: writer.write_events([]),
        "write_curves": lambda: writer.write_curves(progress.records),
        "save": lambda: writer.save(game, progress),
        "save_best": lambda: writer.save_best(game, progress),
        "epoch": lambda: writer.epoch(RECORD),
        "go_back": lambda: writer.go_back(progress),
        "finish": lambda: writer.finish(progress),
    }


def methods(of: type[RunWriter]) -> set[str]:
    return {name for name, _ in inspect.getmembers(of, inspect.isfunction) if not name.startswith("_")}


def test_the_choice_is_by_process(config: RunConfig, tmp_path: Path):
    folder = RunFolder(tmp_path / "run")
    assert type(open_writer(config, folder, ALONE)) is FolderWriter
    assert type(open_writer(config, folder, Processes(0, 2))) is FolderWriter
    assert type(open_writer(config, folder, Processes(1, 2))) is RunWriter


def test_the_writer_of_the_others_leaves_no_trace(
    config: RunConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    folder, game = RunFolder(tmp_path / "run"), make_game(config.recipe)
    before = [tensor.clone() for tensor in game.generator.state_dict().values()]
    with open_writer(config, folder, Processes(1, 2)) as writer:
        told = calls(writer, game)
        assert set(told) == methods(RunWriter)
        for tell in told.values():
            tell()
    assert not folder.path.exists()
    assert capsys.readouterr() == ("", "")
    after = game.generator.state_dict().values()
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_the_writer_of_the_first_does_all_of_it(config: RunConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder, game = RunFolder(tmp_path / "run"), make_game(config.recipe)
    assert methods(RunWriter) == methods(FolderWriter) == set(vars(FolderWriter)) & methods(RunWriter)
    with open_writer(config, folder, ALONE) as writer:
        for tell in calls(writer, game).values():
            tell()
    assert folder.read_config() == config
    assert folder.read_history().epochs == (RECORD,)
    assert list(folder.grid_files()) == [1]
    assert folder.curves_file.read_bytes() == b"curves"
    for file in (folder.checkpoint_file, folder.best_file):
        assert read_progress(file) == Progress(records=[RECORD], epoch=2)
    log = [line[20:] for line in folder.log_file.read_text().splitlines()]
    assert log[0] == "logged"
    assert log[1].startswith("started at epoch 2, step 0 of 4")
    assert log[2] == "said"
    assert log[3] == "extended"
    assert log[4].startswith("epoch 1/")
    assert log[5].startswith("finished: 1 epochs")
    assert capsys.readouterr().err.splitlines() == log[1:]  # `log` does not print


def test_two_first_writers_do_not_write_into_one_folder(config: RunConfig, tmp_path: Path):
    folder = RunFolder(tmp_path / "run")
    other = open_writer(config, folder, ALONE)
    with open_writer(config, folder, ALONE), pytest.raises(RunError, match="another process is training in"), other:
        pass
    with other:
        other.create()
    assert folder.config_file.exists()


@pytest.mark.parametrize("processes", [ALONE, Processes(1, 2)])
@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_a_state_that_is_not_finite_stops_every_process_alike(
    config: RunConfig, tmp_path: Path, processes: Processes, player: str
):
    folder, game = RunFolder(tmp_path / "run"), make_game(config.recipe)
    with torch.no_grad():
        next(getattr(game, player).parameters()).fill_(float("inf"))
    with open_writer(config, folder, processes) as writer:
        for save in (writer.save, writer.save_best):
            with pytest.raises(NotFiniteError, match=rf"^epoch 3, step 7: {player}\..* holds NaN or infinity"):
                save(game, Progress(epoch=3, step=7))
    assert not folder.checkpoint_file.exists()
    assert not folder.best_file.exists()
