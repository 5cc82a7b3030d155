"""The lines about the progress of a full evaluation, with a clock that stands still between the lines."""

from training.evaluation.progress import INTERVAL_S, EvaluationProgress


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_time_left_is_in_proportion_to_the_costs():
    clock, lines = Clock(), list[str]()
    progress = EvaluationProgress({"a": 1.0, "b": 3.0}, say=lines.append, clock=clock)
    progress.begin("a")
    clock.now = 20.0
    progress.begin("b")
    clock.now = 50.0
    progress.advance(0.5)
    assert lines == [
        "full: 1 of 2: a",
        "full: 2 of 2: b, about 60 s left",
        "full: 2 of 2: b, 50%, about 30 s left",
    ]


def test_the_pace_is_that_of_the_present_step():
    clock, lines = Clock(), list[str]()
    progress = EvaluationProgress({"a": 1.0, "b": 3.0}, say=lines.append, clock=clock)
    progress.begin("a")
    clock.now = 1.0
    progress.begin("b")
    clock.now = 31.0
    progress.advance(0.5)
    assert lines[-1] == "full: 2 of 2: b, 50%, about 30 s left"


def test_lines_are_not_too_many():
    clock, lines = Clock(), list[str]()
    progress = EvaluationProgress({"a": 1.0}, say=lines.append, clock=clock)
    progress.begin("a")
    for step in range(1, 101):
        clock.now = step * INTERVAL_S / 25
        progress.advance(step / 100)
    assert len(lines) == 1 + 4
    assert lines[-1] == "full: 1 of 1: a, 100%, about 0 s left"


def test_long_times_are_in_minutes():
    clock, lines = Clock(), list[str]()
    progress = EvaluationProgress({"a": 1.0, "b": 9.0}, say=lines.append, clock=clock)
    progress.begin("a")
    clock.now = 60.0
    progress.begin("b")
    assert lines[-1].endswith("about 9 min left")


def test_it_can_be_silent():
    progress = EvaluationProgress({"a": 1.0}, say=None)
    progress.begin("a")
    progress.advance(1.0)
