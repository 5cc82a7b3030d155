"""Respond to an alarm: record it, then continue the run, go back to its best state, or end it."""

from models.model_folder.history import TrainingEvent
from training.errors import NotFiniteError
from training.run.alarms import Alarms
from training.run.checkpoint import load_checkpoint
from training.run.run import Run

ROLLBACK_RATE = 0.5
"""The factor by which each rollback multiplies the learning rates."""

MAX_ROLLBACKS = 5
"""The largest number of rollbacks in a run. After that, alarms are only recorded, and a NaN ends the run: the cause is
probably the recipe."""


def respond_to_alarms(run: Run, alarms: Alarms, *, goes_back: bool) -> None:
    """Record an epoch's alarms; if `goes_back` (`will_roll_back`), also go back to the best state."""
    if goes_back:
        roll_back(run, alarms)
    else:
        _record(run, alarms, epoch=len(run.progress.records), action="training went on")


def will_roll_back(run: Run) -> bool:
    """Whether an alarm takes the run back now: rollback is on, and there is a best state from before the alarm."""
    return _may_roll_back(run) and not run.progress.finished


def roll_back(run: Run, alarms: Alarms) -> None:
    """Go back to the best state, and continue with another order of the data and lower learning rates.

    Raises:
        NotFiniteError: rollback is off, there is no best state yet, or the run has gone back `MAX_ROLLBACKS` times.
    """
    before = run.progress
    epoch = before.epoch if "not-finite" in alarms else len(before.records)
    if not _may_roll_back(run):
        _record(run, alarms, epoch=epoch, action="training stopped")
        raise NotFiniteError(f"{'; '.join(alarms.values())}. {_what_resume_would_do(run)}")
    best = load_checkpoint(run.folder.best_file, run.game)
    best.finished = False
    best.continue_with(run.game.processes.world, began_with=run.config.processes)
    best.went_back_to = len(best.records)
    best.events, best.seconds, best.rollbacks = before.events, before.seconds, before.rollbacks + 1
    run.progress = best
    run.game.reseed(best.rollbacks)
    rate = ROLLBACK_RATE**best.rollbacks
    _record(
        run,
        alarms,
        epoch=epoch,
        action=f"went back to epoch {len(best.records)}; learning rates are now {rate:g} times the recipe's",
    )
    run.writer.go_back(best)
    run.save()


def _may_roll_back(run: Run) -> bool:
    wanted = run.config.on_collapse == "rollback"
    run.game.processes.wait_for_first()  # the first process may still be writing the best state
    return wanted and run.progress.rollbacks < MAX_ROLLBACKS and run.folder.best_file.exists()


def _what_resume_would_do(run: Run) -> str:
    if run.folder.checkpoint_file.exists():
        return (
            "The last saved state is unchanged, but from it `resume` would take the same steps and end in the same way"
        )
    return "No state was saved yet: `resume` would begin from the start, take the same steps and end in the same way"


def _record(run: Run, alarms: Alarms, *, epoch: int, action: str) -> None:
    for kind, detail in alarms.items():
        run.progress.events.append(TrainingEvent(epoch=epoch, kind=kind, detail=detail[:1000], action=action))
        run.writer.say(f"alarm in epoch {epoch}: {kind}: {detail} ({action})")
    run.writer.write_events(run.progress.events)
