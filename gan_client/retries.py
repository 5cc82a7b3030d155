"""The rules by which a call is tried again, and the waiting times."""

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

RETRIED_STATUSES = (429, 503)
RETRIED_ERRORS = (httpx.NetworkError, httpx.ConnectTimeout, httpx.RemoteProtocolError)
"""Errors of failed and broken connections, which are retried. A timeout of the answer is not: it doubles the work."""


@dataclass(frozen=True)
class Retries:
    """The rules of retries. A call is tried again after 429 and 503, and if a connection could not be made or broke.

    Every call may be tried again, because none changes anything in the service. If the service chooses the seed, it
    chooses another one in each attempt, and the result has the seed of the attempt that succeeded.

    Attributes:
        attempts: number of attempts in total; with 1 nothing is tried again.
        backoff_s: longest wait before the second attempt; it doubles for each further one. The wait is random, between
            half of it and all of it. After an answer with `Retry-After` the client waits that time and a random part of
            the backoff.
        longest_s: the longest wait. An answer whose `Retry-After` is longer is not retried.
        draw: function that returns random numbers in [0, 1), so that clients that failed together retry at different
            times.
    """

    attempts: int = 5
    backoff_s: float = 0.25
    longest_s: float = 30.0
    draw: Callable[[], float] = random.random

    def wait_s(self, attempt: int, outcome: httpx.Response | httpx.TransportError) -> float | None:
        """Return the seconds to wait before the next attempt, or None if there must be none.

        Args:
            attempt: number of attempts made so far.
            outcome: the outcome of the last attempt.
        """
        if attempt >= self.attempts or not _may_pass(outcome):
            return None
        backoff_s = min(self.backoff_s * 2.0 ** (attempt - 1), self.longest_s)
        told_s = retry_after_s(outcome) if isinstance(outcome, httpx.Response) else None
        if told_s is None:
            return backoff_s * (1 + self.draw()) / 2
        return None if told_s > self.longest_s else told_s + backoff_s * self.draw()


def retry_after_s(response: httpx.Response) -> float | None:
    """Return the seconds that Retry-After gives, as a number or as a date (RFC 9110, 10.2.3); None without it."""
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
