"""The errors that a call may raise, apart from httpx's errors of the connection."""

from dataclasses import dataclass
from typing import Any

import httpx

from gan_client.retries import retry_after_s

MAX_SHOWN_CHARACTERS = 200


class GanError(Exception):
    """A call that failed."""


class AnswerError(GanError):
    """A successful answer that no GAN service gives: the URL belongs to another service, or a proxy answered."""


@dataclass(frozen=True)
class ParameterError:
    """One bad parameter: its name, what is wrong with it, and the value that the service saw."""

    parameter: str
    detail: str
    value: object = None


class ProblemError(GanError):
    """The service refused the call with a problem document (RFC 9457), or a proxy refused it in its own words.

    Args:
        response: the answer, which has been read.

    Attributes:
        status: of the answer, such as 422.
        title: the status in words.
        detail: what was wrong, and what to do.
        type: the kind of problem, such as `urn:gan:problem:invalid-parameter`; `about:blank` without a document.
        errors: the bad parameters, if any.
        instance: the id of this error in the service's log, where the service itself failed.
        retry_after_s: seconds after which a retry may succeed, if the answer says so.
    """

    def __init__(self, response: httpx.Response) -> None:
        document = _document_of(response)
        self.status = response.status_code
        self.title = str(document.get("title") or response.reason_phrase)
        self.detail = str(document.get("detail") or response.text[:MAX_SHOWN_CHARACTERS])
        self.type = str(document.get("type", "about:blank"))
        self.instance = document.get("instance")
        self.errors = [
            ParameterError(one["parameter"], one["detail"], one.get("value")) for one in document.get("errors", [])
        ]
        self.retry_after_s = retry_after_s(response)
        super().__init__(f"{self.status} {self.title}: {self.detail}")


def _document_of(response: httpx.Response) -> dict[str, Any]:
    is_document = response.headers.get("Content-Type", "") == "application/problem+json"
    return dict(response.json()) if is_document else {}
