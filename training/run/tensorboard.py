"""TensorBoard's event file, written in the caller's thread.

`torch.utils.tensorboard` writes in a thread of its own. If the disk is full, that thread ends with a traceback, and the
caller gets no error.
"""

import os
import time
from collections.abc import Mapping
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event, SessionLog  # type: ignore[import-untyped]
from tensorboard.compat.proto.summary_pb2 import Summary  # type: ignore[import-untyped]
from tensorboard.summary.writer.record_writer import RecordWriter  # type: ignore[import-untyped]

from models.files import naming


class EventFile:
    """A new event file in a folder. TensorBoard reads the files of a folder in the order of their names.

    Raises (each method):
        OSError: the disk is full or cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._path = folder / f"events.out.tfevents.{time.time_ns()}.{os.getpid()}"
        self._file = self._path.open("wb")
        self._records = RecordWriter(self._file)

    def begin(self, *, purge_step: int) -> None:
        """Make TensorBoard drop the figures of other files in the folder for `purge_step` and later steps."""
        self._write(Event(wall_time=time.time(), file_version="brain.Event:2"))
        self._write(Event(wall_time=time.time(), step=purge_step, session_log=SessionLog(status=SessionLog.START)))

    def add_scalars(self, figures: Mapping[str, float], step: int) -> None:
        """Add the figures of a step."""
        values = [Summary.Value(tag=name, simple_value=figure) for name, figure in figures.items()]
        self._write(Event(wall_time=time.time(), step=step, summary=Summary(value=values)))

    def close(self) -> None:
        """Close the file."""
        with naming(self._path):  # closing tries again to write what is still buffered
            self._file.close()

    def _write(self, event: Event) -> None:
        with naming(self._path):
            self._records.write(event.SerializeToString())
            self._records.flush()
