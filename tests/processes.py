"""Processes that tests start: what they inherit is the same, however the tests themselves were started."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def interruptible() -> Iterator[None]:
    """Processes that are started within this hear Ctrl-C (SIGINT), as those of a terminal do.

    A shell without job control starts `nohup make test &` with SIGINT ignored. A child inherits that, and Python then
    installs no handler: a command that waits for Ctrl-C would wait for ever. A signal with a handler, in contrast, has
    its default action in the child. Only the main thread may use this.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
