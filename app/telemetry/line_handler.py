"""A handler that writes the access log's lines of one pass of the event loop with one system call.

A system call for each line would take as long as G.
"""

import logging
from collections.abc import Callable, Sequence
from typing import TextIO

from app.telemetry.access_record import AccessLine


class LineHandler(logging.StreamHandler[TextIO]):
    """Writes log records one by one, and lines of the access log together."""

    def handle_access(self, lines: Sequence[AccessLine]) -> None:
        """Write lines with one lock and one write. If the formatter has `format_access`, no log records are made."""
        form: Callable[[AccessLine], str] | None = getattr(self.formatter, "format_access", None)
        if self.filters or form is None:
            for line in lines:
                self.handle(line.record())
            return
        self.acquire()
        try:
            self.stream.write("".join([form(line) + self.terminator for line in lines]))
            self.flush()
        except Exception:  # noqa: BLE001  (as in `logging`: a line that cannot be written stops nothing)
            self.handleError(lines[-1].record())
        finally:
            self.release()


def handle_together(logger: logging.Logger, lines: Sequence[AccessLine]) -> None:
    """Pass lines to all handlers of a logger, as `logger.handle` would pass each `line.record()`.

    Args:
        logger: the logger of all lines.
        lines: lines of the access log; their level is INFO.
    """
    if logger.disabled:
        return
    if logger.filters:
        lines = [line for line in lines if logger.filter(line.record())]
    current: logging.Logger | None = logger
    while current is not None and lines:
        for handler in current.handlers:
            if handler.level > logging.INFO:
                continue
            if isinstance(handler, LineHandler):
                handler.handle_access(lines)
            else:
                for line in lines:
                    handler.handle(line.record())
        current = current.parent if current.propagate else None
