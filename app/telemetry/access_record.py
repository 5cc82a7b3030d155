"""One request in the access log: its values, and the log record for handlers other than `LineHandler`."""

import logging
from typing import NamedTuple

from app.telemetry.request_ids import RequestId

LOGGER = "app.middleware.access_log"


class AccessLine(NamedTuple):
    """A request that has been answered.

    Attributes:
        request: the request's ids.
        ended: the time when its answer ended, in seconds since the epoch (1970).
        method: the request's method.
        route: the pattern of its route, or "other".
        path: the path as the client sent it, percent-encoded.
        status: the answer's status.
        sent: number of bytes of the answer's body.
        milliseconds: duration of the request.
        client: the client's address.
    """

    request: RequestId
    ended: float
    method: str
    route: str
    path: str
    status: int
    sent: int
    milliseconds: float
    client: str

    def message(self) -> str:
        """Describe the request in words."""
        return (
            f"{self.method} {self.path} {self.status}, {self.sent} bytes in {self.milliseconds:g} ms to {self.client}"
        )

    def fields(self) -> dict[str, object]:
        """Return the fields that a JSON line has besides the message."""
        return {
            "method": self.method,
            "route": self.route,
            "path": self.path,
            "status": self.status,
            "milliseconds": self.milliseconds,
            "bytes": self.sent,
            "client": self.client,
        }

    def record(self) -> logging.LogRecord:
        """Return the line as a record of `logging`, with its values as attributes."""
        values: dict[str, object] = {
            "name": LOGGER,
            "levelno": logging.INFO,
            "levelname": "INFO",
            "msg": self.message(),
            "created": self.ended,
            "msecs": (self.ended - int(self.ended)) * 1000,
            "fields": self.fields(),
        }
        return logging.makeLogRecord(values | self._asdict())
