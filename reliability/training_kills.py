"""`kill -9` at random moments of training: `python -m reliability.training_kills --kills 50`.

A real `fit` is killed at a random moment after it has begun to train, then `resume` several times in the same way. Then
`resume` comes to the end of the run, and the run is exported. It must equal a run that was never killed, to the last
bit: the model's file, the saved states, the pictures, the records, TensorBoard's figures. While there are kills left,
another run begins, of the next game. The moments follow from the seed.
"""

import argparse
import random
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from harness.report import describe_machine, table
from reliability.trainings.kills import killed
from reliability.trainings.runs import (
    differences,
    fit_arguments,
    next_arguments,
    outcome,
    succeed,
    temporary_files,
    write_data,
)
from training.run.folder import RunFolder

GAMES: dict[str, tuple[str, ...]] = {
    "mlp, 2 steps of D": ("d_steps=2",),
    "goodfellow2014, dropout, bfloat16": (
        'architecture={name="goodfellow2014", generator_widths=[12], maxout_units=[6, 5], maxout_pieces=3}',
        "updates=simultaneous",
        "precision=bfloat16",
    ),
    "conv, conditional, measured": (
        'architecture={name="conv", generator_channels=[6, 4], discriminator_channels=[4, 6]}',
        "conditional=true",
        "loss=relativistic",
        "r1_gamma=1",
        "metrics_every_epochs=2",
        "epochs=8",
    ),
}
LONGEST_LIFE = 0.6
"""Latest moment of a kill, as a share of the time that a whole run takes."""

KILLS_A_RUN = 6
"""Largest number of kills of a run; then it trains to its end, and another run begins."""


@dataclass
class KillTally:
    """The kills and runs of a game, and a line for each thing that was wrong."""

    kills: int = 0
    within_a_write: int = 0
    runs: int = 0
    wrong: list[str] = field(default_factory=list)


def main() -> int:
    """Run the trial and print its table. Return 1 if a run differs from one that was never killed, otherwise 0."""
    parser = argparse.ArgumentParser(description="Kill trainings at random moments with kill -9.")
    parser.add_argument("--kills", type=int, default=50, help="kills in the middle of training (default: 50)")
    parser.add_argument("--seed", type=int, default=2014, help="seed of the moments (default: 2014)")
    options = parser.parse_args()
    rng = random.Random(options.seed)  # noqa: S311  (moments, not secrets)
    trials: dict[str, KillTally] = {}
    with tempfile.TemporaryDirectory(prefix="gan-kills-") as work:
        left, number = options.kills, 0
        data = write_data(Path(work) / "data.npz")
        references: dict[str, ReferenceRun] = {}
        while left > 0:
            game = list(GAMES)[number % len(GAMES)]
            if game not in references:
                references[game] = ReferenceRun(Path(work) / f"whole-{number}", data, GAMES[game])
            trial = trials.setdefault(game, KillTally())
            left -= kill_a_run(
                Path(work) / f"killed-{number}", references[game], trial, rng, most=min(left, KILLS_A_RUN)
            )
            number += 1
    print(f"{describe_machine()}; seed {options.seed}\n")
    print(_table(trials))
    wrong = [text for trial in trials.values() for text in trial.wrong]
    print("".join(f"\n{text}" for text in wrong), end="")
    return 1 if wrong else 0


class ReferenceRun:
    """A run that is never killed, and the model that is exported from it."""

    def __init__(self, path: Path, data: Path, settings: tuple[str, ...]) -> None:
        self.data, self.settings = data, settings
        folder = RunFolder(path)
        succeed(fit_arguments(data, folder, settings))
        self.outcome = outcome(folder)
        self.model = export(folder)
        self.seconds = float(folder.read_history().epochs[-1].seconds)


def kill_a_run(path: Path, reference: ReferenceRun, trial: KillTally, rng: random.Random, *, most: int) -> int:
    """Begin a run, kill it at most `most` times, and compare its end. Return the number of kills."""
    folder, kills = RunFolder(path), 0
    while kills < most:
        arguments = next_arguments(reference.data, folder, reference.settings)
        if not killed(arguments, after_s=rng.uniform(0, LONGEST_LIFE * reference.seconds)):
            break
        kills += 1
        trial.within_a_write += bool(temporary_files(folder.path))
    else:
        succeed(next_arguments(reference.data, folder, reference.settings))
    trial.kills += kills
    trial.runs += 1
    wrong = differences(outcome(folder), reference.outcome)
    if export(folder) != reference.model:
        wrong.append("model")
    trial.wrong += [f"{path.name}, {kills} kills: {what} differ" for what in wrong]
    say(f"{path.name}: {kills} kills, {f'DIFFERENT: {wrong}' if wrong else 'the same end'}")
    return kills


def export(folder: RunFolder) -> bytes:
    """Export a run. Return the bytes of the model's file."""
    to = folder.path.with_name(f"{folder.path.name}-exported") / "model"
    succeed(["export", str(folder.path), "--to", str(to)])
    return (to / "model.safetensors").read_bytes()


def say(text: str) -> None:
    """Print progress on standard error."""
    print(text, file=sys.stderr, flush=True)


def _table(trials: dict[str, KillTally]) -> str:
    heads = ["game", "kills in training", "within a write", "runs", "runs that ended the same"]
    rows = [
        [game, str(trial.kills), str(trial.within_a_write), str(trial.runs), str(trial.runs - _bad(trial))]
        for game, trial in trials.items()
    ]
    totals = [sum(int(row[column]) for row in rows) for column in range(1, len(heads))]
    return table(heads, [*rows, ["all", *map(str, totals)]])


def _bad(trial: KillTally) -> int:
    return len({text.partition(",")[0] for text in trial.wrong})


if __name__ == "__main__":
    sys.exit(main())
