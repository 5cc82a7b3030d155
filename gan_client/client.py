"""The two clients: `Client` for threads and `AsyncClient` for asyncio. Both make the calls of `gan_client.calls`."""

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from functools import update_wrapper
from itertools import count
from types import TracebackType
from typing import Concatenate, ParamSpec, Self, TypeVar

import httpx

from gan_client import calls
from gan_client.calls import Call, Conversation
from gan_client.retries import Retries

TIMEOUT_S = 90.0
"""The default of `timeout_s`. It is longer than the 60 s within which a service answers a projection."""

STANDARD_RETRIES = Retries()

P = ParamSpec("P")
T = TypeVar("T")
Method = TypeVar("Method", bound=Callable[..., object])


def _documented(method: Method, build: Callable[..., object]) -> Method:
    """Give a method the name, docstring and parameters of the function in `gan_client.calls` that builds its call."""
    update_wrapper(method, build)
    signature = inspect.signature(build)
    self = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    method.__dict__["__signature__"] = signature.replace(parameters=[self, *signature.parameters.values()])
    return method


def _method(build: Callable[P, Call[T]]) -> Callable[Concatenate["Client", P], T]:
    def send(self: "Client", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._send(build(*args, **kwargs))

    return _documented(send, build)


def _async_method(build: Callable[P, Call[T]]) -> Callable[Concatenate["AsyncClient", P], Awaitable[T]]:
    async def send(self: "AsyncClient", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._send(build(*args, **kwargs))

    return _documented(send, build)


def _iterator(build: Callable[P, Conversation[T]]) -> Callable[Concatenate["Client", P], Iterator[T]]:
    def begin(self: "Client", /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        return iterate(self, build(*args, **kwargs))  # wrong arguments are told here, and not at the first chunk

    def iterate(self: "Client", conversation: Conversation[T]) -> Iterator[T]:
        answer: T | None = None
        with suppress(StopIteration):  # the conversation's end
            while True:
                answer = self._send(conversation.send(answer))
                yield answer

    return _documented(begin, build)


def _async_iterator(build: Callable[P, Conversation[T]]) -> Callable[Concatenate["AsyncClient", P], AsyncIterator[T]]:
    def begin(self: "AsyncClient", /, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[T]:
        return iterate(self, build(*args, **kwargs))

    async def iterate(self: "AsyncClient", conversation: Conversation[T]) -> AsyncIterator[T]:
        answer: T | None = None
        with suppress(StopIteration):  # the conversation's end
            while True:
                answer = await self._send(conversation.send(answer))
                yield answer

    return _documented(begin, build)


class Client:
    """A client of a GAN service. Several threads may share one.

    Each call raises `ProblemError` when the service refuses it, `AnswerError` when the answer is not one of a GAN
    service, and `httpx.TransportError` when the service is not reached or takes longer than `timeout_s`. Before it
    raises an error, a call is tried again after a 429, a 503 or a broken connection, as `retries` says.

    Args:
        url: the service's URL, with its path prefix if it has one.
        key: one of the service's `GAN_API_KEYS`, if it has any. Spaces and line ends around it are removed.
        timeout_s: seconds to wait for a connection, and for each part of an answer.
        retries: the rules by which a call is tried again.
        transport: an httpx transport, for tests and special networks.
        sleep: function that waits for a number of seconds before a retry.
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        timeout_s: float = TIMEOUT_S,
        retries: Retries = STANDARD_RETRIES,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._http = httpx.Client(base_url=url, headers=_headers(key), timeout=timeout_s, transport=transport)
        self._retries = retries
        self._sleep = sleep

    samples = _method(calls.samples)
    generate = _method(calls.generate)
    interpolate = _method(calls.interpolate)
    score = _method(calls.score)
    project = _method(calls.project)
    models = _method(calls.models)
    iter_samples = _iterator(calls.iter_samples)

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _send(self, call: Call[T]) -> T:
        for attempt in count(1):
            outcome = self._try(call)
            wait_s = self._retries.wait_s(attempt, outcome)
            if wait_s is None:
                break
            self._sleep(wait_s)
        return _result(call, outcome)

    def _try(self, call: Call[T]) -> httpx.Response | httpx.TransportError:
        try:
            return self._http.request(call.method, call.path, **call.content)
        except httpx.TransportError as error:
            return error


class AsyncClient:
    """A client of a GAN service for asyncio: `await` each call, and use `async for` with `iter_samples`.

    Its arguments, results and errors are those of `Client`.
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        timeout_s: float = TIMEOUT_S,
        retries: Retries = STANDARD_RETRIES,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._http = httpx.AsyncClient(base_url=url, headers=_headers(key), timeout=timeout_s, transport=transport)
        self._retries = retries
        self._sleep = sleep

    samples = _async_method(calls.samples)
    generate = _async_method(calls.generate)
    interpolate = _async_method(calls.interpolate)
    score = _async_method(calls.score)
    project = _async_method(calls.project)
    models = _async_method(calls.models)
    iter_samples = _async_iterator(calls.iter_samples)

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def _send(self, call: Call[T]) -> T:
        for attempt in count(1):
            outcome = await self._try(call)
            wait_s = self._retries.wait_s(attempt, outcome)
            if wait_s is None:
                break
            await self._sleep(wait_s)
        return _result(call, outcome)

    async def _try(self, call: Call[T]) -> httpx.Response | httpx.TransportError:
        try:
            return await self._http.request(call.method, call.path, **call.content)
        except httpx.TransportError as error:
            return error


def _headers(key: str | None) -> dict[bytes, bytes]:
    """Return the headers of every call, as bytes: httpx would refuse a key that is not ASCII.

    Raises:
        ValueError: the key is empty, or has a control character. The error does not show the key.
    """
    if key is not None:
        key = key.strip()  # a file or a shell often leaves a line end behind a key
        if not key or any(ord(character) < 32 or ord(character) == 127 for character in key):
            raise ValueError("key must be one of the service's keys, not empty and without line ends or tabs")
    return {b"User-Agent": b"gan-client"} | ({} if key is None else {b"Authorization": f"Bearer {key}".encode()})


def _result(call: Call[T], outcome: httpx.Response | httpx.TransportError) -> T:
    if isinstance(outcome, httpx.TransportError):
        raise outcome
    return call.result(outcome)
