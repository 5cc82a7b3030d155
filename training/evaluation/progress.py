"""Progress of a long evaluation: lines that say which step it is at and about how long the rest takes."""

import time
from collections.abc import Callable, Mapping

INTERVAL_S = 10.0
STEADY = 0.1
"""The share of a step after which its own pace is known; its first moments may be slow."""


class EvaluationProgress:
    """Says how far a sequence of steps is. The time left is estimated from the pace of the present step.

    Until a tenth of it is done, the pace is that of all work so far.

    Args:
        costs: the expected cost of each step, in any unit, by its name, in order.
        say: is given each line; None: nothing is said.
        title: the word that begins each line.
        clock: returns the time in seconds.
    """

    def __init__(
        self,
        costs: Mapping[str, float],
        *,
        say: Callable[[str], None] | None,
        title: str = "full",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._costs, self._say, self._title, self._clock = dict(costs), say, title, clock
        self._names = list(costs)
        self._started = self._step_started = self._last_line = clock()
        self._step = ""

    def begin(self, name: str) -> None:
        """Say that a step begins; the steps before it are done."""
        self._step, self._step_started = name, self._clock()
        self._tell(0.0)

    def advance(self, done: float) -> None:
        """Take note of the share (0–1) of the step that is done. At most one line in ten seconds says so."""
        if self._clock() - self._last_line >= INTERVAL_S:
            self._tell(done)

    def _tell(self, done: float) -> None:
        now = self._last_line = self._clock()
        if self._say is None:
            return
        index = self._names.index(self._step)
        before, in_step = sum(self._costs[name] for name in self._names[:index]), done * self._costs[self._step]
        left = sum(self._costs.values()) - before - in_step
        line = f"{self._title}: {index + 1} of {len(self._names)}: {self._step}"
        if done:
            line += f", {done:.0%}"
        since, finished = (self._step_started, in_step) if done >= STEADY else (self._started, before + in_step)
        if finished:
            line += f", about {_duration((now - since) * left / finished)} left"
        self._say(line)


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
