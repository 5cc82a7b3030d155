"""When a call is tried again, and after how many seconds."""

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

RETRIED_STATUSES = (429, 503)
RETRIED_ERRORS = (httpx.NetworkError, httpx.ConnectTimeout, httpx.RemoteProtocolError)
"""Connections that could not be made, or that broke. A slow answer is not retried: that would double the work."""


@dataclass(frozen=True)
class Retries:
    """Whether to try again: after 429 and 503, and after a connection that could not be made or that broke.

    Every call may be tried again: none changes anything at the service. A seed that the service draws is another one in
    each attempt, and only that of the answer is ever seen.

    Attributes:
        attempts: how often a call is tried in all; with 1 nothing is tried again.
        backoff_s: longest wait before the second attempt; it doubles before each further one. The wait is drawn between
            half of it and all of it. After an answer with `Retry-After` the wait is that long, and a random part of
            `backoff_s` longer.
        longest_s: the longest wait. An answer that asks for a longer one is not retried.
        draw: random numbers in [0, 1), so that clients that failed together do not return together.
    """

    attempts: int = 5
    backoff_s: float = 0.25
    longest_s: float = 30.0
    draw: Callable[[], float] = random.random

    def wait_s(self, attempt: int, outcome: httpx.Response | httpx.TransportError) -> float | None:
        """Seconds until the next attempt, or None when there is none.

        Args:
            attempt: how many there were.
            outcome: of the last one.
        """
        if attempt >= self.attempts or not _may_pass(outcome):
            return None
        backoff_s = min(self.backoff_s * 2.0 ** (attempt - 1), self.longest_s)
        told_s = retry_after_s(outcome) if isinstance(outcome, httpx.Response) else None
        if told_s is None:
            return backoff_s * (1 + self.draw()) / 2
        return None if told_s > self.longest_s else told_s + backoff_s * self.draw()


def retry_after_s(response: httpx.Response) -> float | None:
    """The header Retry-After in seconds, whether it has seconds or a date (RFC 9110, 10.2.3); None without one."""
    text = response.headers.get("Retry-After", "")
    if text.isascii() and text.isdigit():
        return float(text)
    with suppress(ValueError, TypeError):  # a date without a zone cannot be compared
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    return None


def _may_pass(outcome: httpx.Response | httpx.TransportError) -> bool:
    if isinstance(outcome, httpx.Response):
        return outcome.status_code in RETRIED_STATUSES
    return isinstance(outcome, RETRIED_ERRORS)
