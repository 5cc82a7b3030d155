"""The record of one request in the access log."""

import logging

from app.telemetry.request_ids import RequestId

LOGGER = "app.middleware.access_log"


_FOR_OTHER_FORMATTERS: dict[str, object] = {
    **dict.fromkeys(("funcName", "process", "processName", "taskName", "thread", "threadName")),
    "relativeCreated": 0.0,
}


class AccessRecord(logging.LogRecord):
    """A request that has been answered.

    It is made without what no formatter of ours uses: to look for the line of code that logs, the thread and the task
    takes as long as all the rest.

    Args:
        request: its ids.
        ended: when, in seconds since the epoch.
        method: of the request.
        route: the pattern of its route, or "other".
        path: as it was asked for, percent-encoded.
        status: of the answer.
        sent: bytes of its body.
        milliseconds: that it took.
        client: the client's address.
    """

    def __init__(  # it leaves `super().__init__` out
        self,
        request: RequestId,
        ended: float,
        method: str,
        route: str,
        path: str,
        status: int,
        sent: int,
        milliseconds: float,
        client: str,
    ) -> None:
        self.__dict__.update(_FOR_OTHER_FORMATTERS)
        self.name, self.levelno, self.levelname = LOGGER, logging.INFO, "INFO"
        self.created, self.msecs = ended, (ended - int(ended)) * 1000
        self.msg, self.args = "%s %s %d, %d bytes in %g ms to %s", (method, path, status, sent, milliseconds, client)
        self.exc_info = self.exc_text = self.stack_info = None
        self.pathname, self.filename, self.module, self.lineno = __file__, "access_record.py", "access_record", 0
        self.request = request
        self.method, self.route, self.path, self.client = method, route, path, client
        self.status, self.sent, self.milliseconds = status, sent, milliseconds

    @property
    def fields(self) -> dict[str, object]:
        """What a JSON line tells besides the message."""
        return {
            "method": self.method,
            "route": self.route,
            "path": self.path,
            "status": self.status,
            "milliseconds": self.milliseconds,
            "bytes": self.sent,
            "client": self.client,
        }
