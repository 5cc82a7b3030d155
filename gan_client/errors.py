"""The exceptions that a call may raise, apart from httpx's exceptions for connections."""

from dataclasses import dataclass
from typing import Any

import httpx

from gan_client.retries import retry_after_s

MAX_SHOWN_CHARACTERS = 200


class GanError(Exception):
    """A call failed; the base class of this package's errors."""


class AnswerError(GanError):
    """The status is a success, but the answer is not from a GAN service: the URL is wrong, or a proxy answered."""


@dataclass(frozen=True)
class ParameterError:
    """A wrong parameter: its name, what is wrong with it, and the value that the service received."""

    parameter: str
    detail: str
    value: object = None


class ProblemError(GanError):
    """The service refused the call with a problem document (RFC 9457), or a proxy refused it with another answer.

    Args:
        response: the answer, whose body has been read.

    Attributes:
        status: the answer's HTTP status, such as 422.
        title: the status in words.
        detail: what was wrong, and what to do; without a problem document, the beginning of the answer's body.
        type: the kind of problem, such as `urn:gan:problem:invalid-parameter`; `about:blank` without a document.
        errors: the wrong parameters, if any.
        instance: the id of this error in the service's log, if the service itself failed.
        retry_after_s: seconds after which a retry may succeed; None if the answer does not say.
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
