"""A short version of the trial: real commands, killed; those that come to their end are run in this process."""

import os
import random
from pathlib import Path

import pytest

from reliability import training_kills
from reliability.training_kills import GAMES, KillTally, ReferenceRun, kill_a_run
from reliability.trainings.runs import RECIPE, differences, fit_arguments, outcome, write_data
from training.cli.command_line import main
from training.recipe import load_recipe
from training.run.folder import RunFolder


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def succeed(arguments: list[str]) -> None:
        assert main(arguments) == 0

    monkeypatch.setattr(training_kills, "succeed", succeed)
    monkeypatch.setenv("GIT_DIR", os.devnull)  # the same "commit" in every run


@pytest.mark.slow
def test_three_kills_and_the_end_of_a_run_never_killed(tmp_path: Path):
    (settings, *_) = GAMES.values()
    reference = ReferenceRun(tmp_path / "whole", write_data(tmp_path / "data.npz"), settings)
    reference.seconds = 0.5  # lives short enough that the run outlives three kills on any machine
    trial, moments = KillTally(), random.Random(1)
    for number in range(20):  # on a busy machine a run may end before its killer wakes: then there is another
        if kill_a_run(tmp_path / f"killed-{number}", reference, trial, moments, most=3):
            break
    assert trial.wrong == []
    assert 1 <= trial.kills <= 3
    assert trial.runs == number + 1


def test_a_run_that_ends_otherwise_is_seen(tmp_path: Path):
    data = write_data(tmp_path / "data.npz")
    outcomes = []
    for name, settings in (("a", ()), ("b", ("generator_optimiser.learning_rate=2e-3",))):
        folder = RunFolder(tmp_path / name)
        assert main(fit_arguments(data, folder, ("epochs=2", "grid_every_epochs=1", *settings))) == 0
        outcomes.append(outcome(folder))
    assert differences(outcomes[0], outcomes[0]) == []
    assert differences(*outcomes) == ["grids", "stats", "tensorboard", "state"]


@pytest.mark.parametrize("game", GAMES)
def test_the_games_of_the_trial_are_recipes(game: str):
    assert load_recipe(str(RECIPE), list(GAMES[game])).checkpoint_interval_s == 0
