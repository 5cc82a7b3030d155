"""What is done about an alarm: it is put on record, and the run goes on, or falls back to its best state."""

from models.model_folder.history import TrainingEvent
from training.errors import NotFiniteError
from training.run.alarms import Alarms
from training.run.checkpoint import load_checkpoint
from training.run.run import Run

ROLLBACK_RATE = 0.5
"""After each fall back the learning rates are this much of what they were."""

MAX_ROLLBACKS = 5
"""Then it is the recipe that is wrong: alarms are only told, and a NaN ends the run."""


def attend(run: Run, alarms: Alarms) -> None:
    """Put the alarms of an epoch that is closed on record; with `--on-collapse rollback`, go back."""
    if _may_fall_back(run) and not run.progress.finished:
        fall_back(run, alarms)
    else:
        _record(run, alarms, epoch=len(run.progress.records), action="training went on")


def fall_back(run: Run, alarms: Alarms) -> None:
    """Put the run back into its best state, to go on with another order of the data and lower rates.

    Raises:
        NotFiniteError: the run does not fall back, has no best state yet, or has done so often enough.
    """
    before = run.progress
    epoch = before.epoch if "not-finite" in alarms else len(before.records)
    if not _may_fall_back(run):
        _record(run, alarms, epoch=epoch, action="training stopped")
        raise NotFiniteError("; ".join(alarms.values()))
    best = load_checkpoint(run.folder.best_file, run.game)
    best.finished = False
    best.events, best.seconds, best.rollbacks = before.events, before.seconds, before.rollbacks + 1
    run.progress = best
    run.game.reseed(best.rollbacks)
    rate = ROLLBACK_RATE**best.rollbacks
    _record(run, alarms, epoch=epoch, action=f"back to epoch {len(best.records)}, learning rates times {rate:g}")
    run.writer.go_back(best)
    run.save()


def _may_fall_back(run: Run) -> bool:
    wanted = run.config.on_collapse == "rollback"
    run.game.processes.wait_for_first()  # it may be writing the best state still
    return wanted and run.progress.rollbacks < MAX_ROLLBACKS and run.folder.best_file.exists()


def _record(run: Run, alarms: Alarms, *, epoch: int, action: str) -> None:
    for kind, detail in alarms.items():
        run.progress.events.append(TrainingEvent(epoch=epoch, kind=kind, detail=detail[:1000], action=action))
        run.writer.say(f"alarm in epoch {epoch}: {kind}: {detail}: {action}")
    run.writer.write_events(run.progress.events)
