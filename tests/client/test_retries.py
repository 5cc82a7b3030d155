"""When the client retries a call, and how long it waits. The answers are made here, and nothing really sleeps."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest

from gan_client import AnswerError, AsyncClient, Client, Models, ProblemError, Retries

URL = "http://service.test/gan"
NO_MODELS: dict[str, object] = {"default": None, "models": []}
OVERLOADED = {"type": "urn:gan:problem:overloaded", "title": "Too Many Requests", "status": 429, "detail": "wait"}
PROBLEM = {"Content-Type": "application/problem+json"}

Outcome = httpx.Response | Exception
Ask = Callable[..., Models]


def fine() -> httpx.Response:
    return httpx.Response(200, json=NO_MODELS)


def busy(status: int = 429, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, json=OVERLOADED | {"status": status}, headers=PROBLEM | named)


class Script:
    """A transport that gives prepared outcomes in order, then repeats the last one, and records requests and waits."""

    def __init__(self, *outcomes: Outcome) -> None:
        self._outcomes: Iterator[Outcome] = iter(outcomes)
        self._last: Outcome = outcomes[-1]
        self.requests: list[httpx.Request] = []
        self.slept: list[float] = []

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        self._last = next(self._outcomes, self._last)
        if isinstance(self._last, Exception):
            raise self._last
        last = self._last  # a response can be read only once, so each request gets its own
        return httpx.Response(last.status_code, content=last.content, headers=last.headers)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    async def sleep_async(self, seconds: float) -> None:
        self.slept.append(seconds)


@pytest.fixture(params=["threads", "asyncio"])
def ask(request: pytest.FixtureRequest) -> Ask:
    """Ask for the models by one of the two clients."""

    def by_threads(script: Script, **options: Any) -> Models:
        with Client(URL, transport=httpx.MockTransport(script.answer), sleep=script.sleep, **options) as client:
            return client.models()

    def by_asyncio(script: Script, **options: Any) -> Models:
        async def run() -> Models:
            transport = httpx.MockTransport(script.answer)
            async with AsyncClient(URL, transport=transport, sleep=script.sleep_async, **options) as client:
                return await client.models()

        return asyncio.run(run())

    return by_threads if request.param == "threads" else by_asyncio


def half() -> float:
    return 0.5


@pytest.mark.parametrize(
    "outcome",
    [
        busy(429),
        busy(503),
        httpx.ConnectError("refused"),
        httpx.ConnectTimeout("no answer to SYN"),
        httpx.ReadError("reset"),
        httpx.RemoteProtocolError("closed without an answer"),
    ],
)
def test_what_may_pass_is_tried_again(ask: Ask, outcome: Outcome) -> None:
    script = Script(outcome, outcome, fine())
    assert ask(script).models == []
    assert len(script.requests) == 3
    assert len(script.slept) == 2


@pytest.mark.parametrize("status", [400, 401, 404, 413, 415, 422, 500, 502, 504])
def test_other_statuses_are_not_tried_again(ask: Ask, status: int) -> None:
    script = Script(busy(status))
    with pytest.raises(ProblemError) as caught:
        ask(script)
    assert caught.value.status == status
    assert (len(script.requests), script.slept) == (1, [])


@pytest.mark.parametrize("error", [httpx.ReadTimeout("slow"), httpx.PoolTimeout("full"), httpx.LocalProtocolError("x")])
def test_other_errors_are_not_tried_again(ask: Ask, error: httpx.TransportError) -> None:
    script = Script(error)
    with pytest.raises(type(error)):
        ask(script)
    assert (len(script.requests), script.slept) == (1, [])


def test_waits_double_up_to_the_longest(ask: Ask) -> None:
    script = Script(busy(503))
    retries = Retries(attempts=7, backoff_s=1, longest_s=10, draw=lambda: 1.0)
    with pytest.raises(ProblemError):
        ask(script, retries=retries)
    assert script.slept == [1, 2, 4, 8, 10, 10]


@pytest.mark.parametrize(("drawn", "waits"), [(0.0, [0.5, 1, 2]), (0.5, [0.75, 1.5, 3]), (1.0, [1, 2, 4])])
def test_waits_are_random_in_their_upper_half(ask: Ask, drawn: float, waits: list[float]) -> None:
    script = Script(httpx.ConnectError("refused"))
    with pytest.raises(httpx.ConnectError):
        ask(script, retries=Retries(attempts=4, backoff_s=1, draw=lambda: drawn))
    assert script.slept == waits


def test_standard_waits_differ_from_client_to_client() -> None:
    assert len({Retries().wait_s(1, httpx.ConnectError("refused")) for _ in range(100)}) > 90


def test_retry_after_is_waited_for(ask: Ask) -> None:
    """A random part is added, so that clients that got the same answer do not retry at the same time."""
    script = Script(busy(retry_after="3"), busy(503, retry_after="0"), fine())
    ask(script, retries=Retries(backoff_s=1, draw=half))
    assert script.slept == [3.5, 1.0]


def test_retry_after_may_be_a_date(ask: Ask) -> None:
    then = format_datetime(datetime.now(UTC) + timedelta(seconds=25), usegmt=True)
    script = Script(busy(retry_after=then), busy(retry_after="Wed, 21 Oct 2015 07:28:00 GMT"), fine())
    ask(script, retries=Retries(longest_s=60, draw=lambda: 0.0))
    assert 0 < script.slept[0] <= 25
    assert script.slept[1] == 0


@pytest.mark.parametrize("nonsense", ["", "soon", "-1", "1.5", "²", "Wed, 21 Oct 2015 07:28:00"])
def test_retry_after_that_says_nothing(ask: Ask, nonsense: str) -> None:
    headers = {b"Content-Type": b"application/problem+json", b"Retry-After": nonsense.encode()}
    script = Script(httpx.Response(429, json=OVERLOADED, headers=headers), fine())
    ask(script, retries=Retries(backoff_s=1, draw=lambda: 1.0))
    assert script.slept == [1]


@pytest.mark.parametrize(("told", "requests"), [("30", 2), ("31", 1)])
def test_who_is_told_to_wait_too_long_does_not_wait(ask: Ask, told: str, requests: int) -> None:
    script = Script(busy(retry_after=told))
    with pytest.raises(ProblemError) as caught:
        ask(script, retries=Retries(attempts=2, longest_s=30))
    assert len(script.requests) == requests
    assert caught.value.retry_after_s == float(told)


@pytest.mark.parametrize("attempts", [1, 2, 5])
def test_attempts_are_counted_in_all(ask: Ask, attempts: int) -> None:
    script = Script(busy())
    with pytest.raises(ProblemError, match="429 Too Many Requests: wait"):
        ask(script, retries=Retries(attempts=attempts))
    assert len(script.requests) == attempts


def test_what_is_sent(ask: Ask) -> None:
    """The request has the URL's prefix and the key, and every attempt sends the same request."""
    script = Script(busy(), fine())
    ask(script, key="secret")
    assert [str(request.url) for request in script.requests] == [f"{URL}/v1/models"] * 2
    assert {request.headers["Authorization"] for request in script.requests} == {"Bearer secret"}
    ask(script)
    assert "Authorization" not in script.requests[-1].headers


def test_a_problem_is_told_whole(ask: Ask) -> None:
    errors = [{"parameter": "n", "detail": "too small", "value": "0"}, {"parameter": "m", "detail": "unknown"}]
    document = {
        "type": "urn:gan:problem:invalid-parameter",
        "title": "Unprocessable Content",
        "status": 422,
        "detail": "n: too small",
        "instance": "urn:gan:request:12",
        "errors": errors,
    }
    with pytest.raises(ProblemError) as caught:
        ask(Script(httpx.Response(422, json=document, headers=PROBLEM)))
    problem = caught.value
    assert str(problem) == "422 Unprocessable Content: n: too small"
    assert (problem.status, problem.title, problem.detail) == (422, "Unprocessable Content", "n: too small")
    assert (problem.type, problem.instance) == (document["type"], document["instance"])
    assert [(one.parameter, one.detail, one.value) for one in problem.errors] == [
        ("n", "too small", "0"),
        ("m", "unknown", None),
    ]
    assert problem.retry_after_s is None


def test_a_proxys_own_words_are_told(ask: Ask) -> None:
    page = httpx.Response(502, text="<h1>Bad Gateway</h1>" + "x" * 1000, headers={"Content-Type": "text/html"})
    with pytest.raises(ProblemError) as caught:
        ask(Script(page))
    assert (caught.value.title, caught.value.type, caught.value.errors) == ("Bad Gateway", "about:blank", [])
    assert caught.value.detail.startswith("<h1>Bad Gateway</h1>")
    assert len(caught.value.detail) == 200


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, text="<html>Welcome</html>", headers={"Content-Type": "text/html"}),
        httpx.Response(200, json=[]),
        httpx.Response(200, json={}),
        httpx.Response(200, json={"default": None, "models": [{"ready": True}]}),
    ],
)
def test_what_is_no_answer_of_a_service(ask: Ask, answer: httpx.Response) -> None:
    script = Script(answer)
    with pytest.raises(AnswerError, match=r"http://service\.test/gan/v1/models gave .* not the answer of a GAN"):
        ask(script)
    assert len(script.requests) == 1


@pytest.mark.parametrize("content", [b"", b"<html>Welcome</html>", b"PK\x03\x04 cut off", b"\x93NUMPY"])
def test_what_is_no_npz(content: bytes) -> None:
    answer = httpx.Response(200, content=content, headers={"X-Model": "a@b", "X-Seed": "1"})
    transport = httpx.MockTransport(lambda request: answer)
    with Client(URL, transport=transport) as client, pytest.raises(AnswerError):
        client.samples(1)


def test_what_a_newer_service_says_besides_is_left_out(ask: Ask) -> None:
    newer = {"default": "a", "models": [{"name": "a", "ready": True, "colour": "red"}], "more": 1}
    (model,) = ask(Script(httpx.Response(200, json=newer))).models
    assert (model.name, model.ready, model.error) == ("a", True, None)
