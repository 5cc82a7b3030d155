"""A handler that writes the lines of one pass of the event loop at once: a system call for each costs as much as G."""

import asyncio
import logging
from collections.abc import Sequence
from typing import TextIO

from app.telemetry.access_record import AccessRecord


class LineHandler(logging.StreamHandler[TextIO]):
    """Writes each record as a line, and the access log's lines of one pass of an event loop by one write.

    All other records are written at once, behind the lines that wait: none is lost when the process ends next.
    """

    def __init__(self) -> None:
        super().__init__()
        self._waiting: list[str] = []
        self._loop: asyncio.AbstractEventLoop | None = None  # that will write what waits

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record, or have it written at the end of this pass."""
        try:
            self._waiting.append(self.format(record))
            if type(record) is not AccessRecord or (loop := _running_loop()) is None:
                self._write()
            elif self._loop is not loop:
                self._loop = loop
                loop.call_soon(self._flush_of_pass, record)
        except Exception:  # noqa: BLE001  (as `logging` does: a line that cannot be written ends nothing)
            self.handleError(record)

    def handle_all(self, records: Sequence[logging.LogRecord]) -> None:
        """Write records by one write: as `handle` of each, with one lock and one look at the event loop for all."""
        self.acquire()
        try:
            self._waiting += [self.format(record) for record in records if self.filter(record)]
            self._write()
        except Exception:  # noqa: BLE001  (as above)
            self.handleError(records[-1])
        finally:
            self.release()

    def flush(self) -> None:
        """Write what waits."""
        self.acquire()
        try:
            self._write()
        finally:
            self.release()

    def _flush_of_pass(self, record: logging.LogRecord) -> None:
        try:
            self.flush()
        except Exception:  # noqa: BLE001  (as above)
            self.handleError(record)

    def _write(self) -> None:
        lines, self._waiting, self._loop = self._waiting, [], None
        if lines:
            self.stream.write("".join([f"{line}{self.terminator}" for line in lines]))
        super().flush()


def handle_together(logger: logging.Logger, records: Sequence[logging.LogRecord]) -> None:
    """Have all handlers of a logger handle records, as `logger.handle` would have them handle one after the other.

    Args:
        logger: of all of the records; the levels of its handlers and its own filters are looked at for the first alone.
        records: at least one, all of the same level.
    """
    if logger.disabled or not logger.filter(records[0]):
        return
    current: logging.Logger | None = logger
    while current is not None:
        for handler in current.handlers:
            if records[0].levelno < handler.level:
                continue
            if isinstance(handler, LineHandler):
                handler.handle_all(records)
            else:
                for record in records:
                    handler.handle(record)
        current = current.parent if current.propagate else None


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
