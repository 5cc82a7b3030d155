"""The identity of a request: an id that a person can quote, its trace, and the stages of its work.

The trace comes from the header `traceparent` (W3C Trace Context, level 1, https://www.w3.org/TR/trace-context-1/).
"""

import random
import re
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import NamedTuple

from starlette.types import Scope

MAX_STAGES = 100
"""The most stages of one request that are kept. A large archive has hundreds."""

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_TRACEPARENT = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-[^,]*)?", re.DOTALL)


class TraceParent(NamedTuple):
    """The caller and its trace, in hex digits. The last bit of `flags` says whether the caller records the trace."""

    trace_id: str
    parent_id: str
    flags: int


class Stage(NamedTuple):
    """A part of a request's work. It began and ended at these times of `time.perf_counter`."""

    name: str
    began: float
    ended: float


@dataclass(slots=True)
class RequestId:
    """The identity of a request.

    Attributes:
        text: the id: 1 to 64 letters, digits, dots, underscores and hyphens.
        caller: the content of the header `traceparent`; None if the request has no valid one.
        trace_id: the trace that the request belongs to, 32 hex digits; None if nobody traces it.
        span_id: the service's own span in this trace, 16 hex digits; None if there is none.
        stages: the first `MAX_STAGES` stages of the request's work, such as its inference.
    """

    text: str
    caller: TraceParent | None = None
    trace_id: str | None = None
    span_id: str | None = None
    stages: tuple[Stage, ...] = ()

    def add_stage(self, name: str, began: float, ended: float) -> None:
        """Note a stage that began and ended at these times of `time.perf_counter`."""
        if len(self.stages) < MAX_STAGES:
            self.stages += (Stage(name, began, ended),)


current: ContextVar[RequestId | None] = ContextVar("request", default=None)
"""The request that this task answers; None where requests are not observed (`app.middleware.access_log`)."""


def request_id_of(scope: Scope) -> RequestId:
    """Return the identity of a request (ASGI). The first call makes it, and the scope keeps it."""
    known: RequestId | None = scope.get("gan.request_id")
    if known is None:
        known = scope["gan.request_id"] = identify(dict(scope["headers"]))
    return known


def identify(headers: Mapping[bytes, bytes]) -> RequestId:
    """Make the identity of a request from its headers: the id is X-Request-Id, else the trace's id, else random."""
    parent = headers.get(b"traceparent")
    caller = None if parent is None else parse_traceparent(parent)
    trace_id = None if caller is None else caller.trace_id
    given = headers.get(b"x-request-id")
    own = given.decode() if given is not None and _REQUEST_ID.fullmatch(given) else None
    # Python's generator is seeded by the system, again in each forked process. An id is not a secret.
    return RequestId(own or trace_id or f"{random.getrandbits(128):032x}", caller, trace_id)  # nosec B311


def parse_traceparent(value: bytes) -> TraceParent | None:
    """Parse a `traceparent`; None if it does not follow the recommendation and must be ignored.

    Later versions may add parts after a hyphen. Version 00 has exactly four parts. Version ff and ids of only zeros are
    not valid.
    """
    found = _TRACEPARENT.fullmatch(value)
    if found is None:
        return None
    version, trace_id, parent_id, flags, more = (part.decode("latin-1") for part in found.groups(b""))
    if version == "ff" or (version == "00" and more) or not int(trace_id, 16) or not int(parent_id, 16):
        return None
    return TraceParent(trace_id, parent_id, int(flags, 16))
