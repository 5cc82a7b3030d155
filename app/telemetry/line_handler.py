"""A handler that writes the lines of one pass of the event loop at once: a system call each would cost as much as G."""

import asyncio
import logging
from typing import TextIO


class LineHandler(logging.StreamHandler[TextIO]):
    """Writes each record as a line, and those that are logged in one pass of an event loop by one write.

    Errors, and what is logged where no event loop runs, are written at once, behind what waits.
    """

    def __init__(self) -> None:
        super().__init__()
        self._waiting: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record, or have it written at the end of this pass."""
        try:
            self._waiting.append(self.format(record))
            if record.levelno < logging.ERROR and (loop := _running_loop()) is not None:
                if len(self._waiting) == 1:
                    loop.call_soon(self._flush_of_pass, record)
            else:
                self._write()
        except Exception:  # noqa: BLE001  (as `logging` does: a line that cannot be written ends nothing)
            self.handleError(record)

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
        lines, self._waiting = self._waiting, []
        if lines:
            self.stream.write("".join([f"{line}{self.terminator}" for line in lines]))
        super().flush()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
