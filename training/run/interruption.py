"""Hears Ctrl-C (SIGINT) and SIGTERM while a run trains, so that the run saves its state before it ends."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, Self

from training.errors import Terminated

AT_ONCE_AFTER_S = 1.0
"""A second Ctrl-C stops the run at once if it comes this much later than the first signal. Before that, it may be the
same one: `timeout` and `torch.distributed.run` send a signal to their child and to its whole group."""

_HEARD = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """A context manager: the first signal is only noted in `number`, and the loop ends at the next safe point.

    A signal that is ignored, as by `nohup`, stays ignored. Signals can be heard in the main thread only; in another one
    this does nothing.

    Args:
        says: whether to print that the first signal was heard.

    Attributes:
        number: the number of the signal; 0 while there was none.
    """

    def __init__(self, *, says: bool = True) -> None:
        self.number = 0
        self._says = says
        self._heard_at_s = 0.0
        self._at_once = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in _HEARD:
                before = signal.getsignal(number)
                if before not in (signal.SIG_IGN, None):
                    self._before[number] = before
                    signal.signal(number, self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Raise the error of `stop` as soon as a signal comes: the block changes nothing that is saved, and is long."""
        self._at_once = True
        try:
            if self.number:
                stop(self.number)
            yield
        finally:
            self._at_once = False

    def _hear(self, number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        is_again = self.number != 0 and number == signal.SIGINT and now - self._heard_at_s >= AT_ONCE_AFTER_S
        if not self.number:
            self.number, self._heard_at_s = number, now
            if self._says and not self._at_once:
                with suppress(OSError):  # not `print`, which the signal may have interrupted
                    os.write(2, b"\nsaving the state after this step; a second Ctrl-C stops without saving\n")
        if is_again or self._at_once:
            self._at_once = False
            stop(number)


def stop(number: int) -> None:
    """End the work because of a signal.

    Raises:
        Terminated: it was SIGTERM.
        KeyboardInterrupt: it was Ctrl-C.
    """
    raise Terminated if number == signal.SIGTERM else KeyboardInterrupt
