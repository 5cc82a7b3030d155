"""What the routes share: made once when the service starts, handed to each request."""

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, cast

from fastapi import Depends, Request

from app.api.replicas import Replicas
from app.api.sample_request import SampleRequests
from app.inference.catalog import Catalog, ServedModel
from app.inference.decode_slots import Decoders, TooManyPixelsError
from app.inference.engine import Engine, ExhaustedError, OverloadedError, StoppedError
from app.inference.jobs import Network, Rows
from app.inference.projection_queue import LateError, ProjectionQueue, QueueFullError
from app.problems import Problem
from app.settings import Settings
from app.telemetry.metrics import Metrics
from models.inference.projection import FoundLatent

RETRY_AFTER_S = 1
RETRY_PROJECTION_AFTER_S = 2


@dataclass(frozen=True)
class State:
    """A service: its settings, models, engine, projections, decoders, metrics, replicas, and whether it is to end."""

    settings: Settings
    catalog: Catalog
    engine: Engine
    projections: ProjectionQueue
    decoders: Decoders
    metrics: Metrics
    is_ending: Callable[[], bool] = lambda: False
    replicas: Replicas | None = None

    @cached_property
    def sample_requests(self) -> SampleRequests:
        """Parses the requests for samples of this catalog's models."""
        return SampleRequests(self.catalog)

    async def draw(
        self, served: ServedModel, rows: Rows, *, network: Network | None = None, may_wait: bool = False
    ) -> Rows:
        """G's images, through the engine.

        Args:
            served: the model.
            rows: [n, …], the input of `network`; latents [n, z_dim] where none is named.
            network: one of the model's generators; None takes its sampler.
            may_wait: take the job even when the queue is full; for the chunks of an answer that has begun.

        Raises:
            Problem: 429 when the queue is full, 503 when the engine has stopped.
        """
        images = await self._run(network or served.sampler, rows, may_wait=may_wait)
        self.metrics.count_images(served.model.name, len(images))
        return images

    async def score(self, served: ServedModel, images: Rows, *, may_wait: bool = False) -> Rows:
        """D's logits of images, through the engine.

        Raises:
            Problem: 429 when the queue is full, 503 when the engine has stopped.
        """
        logits = await self._run(served.scorer, images, may_wait=may_wait)
        self.metrics.scored.labels(served.model.name).inc(len(images))
        return logits

    async def explain(self, served: ServedModel, images: Rows) -> Rows:
        """The gradients of D's logits by the pixels of images, through the engine, even when its queue is full.

        For images that have been scored: an answer that has begun is not refused half-way.

        Raises:
            Problem: 503 when the engine has stopped.
        """
        return await self._run(served.explainer, images, may_wait=True)

    async def project(self, served: ServedModel, image: Rows, *, gone: Coroutine[None, None, None]) -> FoundLatent:
        """The latent nearest to an image, through the projections' own queue.

        Args:
            served: the model whose G is searched.
            image: [H, W] or [H, W, 3] uint8.
            gone: ends when the client has gone.

        Raises:
            Problem: 429 when the queue is full, 503 when it takes too long.
            ClientGoneError: the client has gone.
        """

        def job() -> FoundLatent:
            with self.metrics.projection_seconds.labels(served.model.name).time():
                return served.projector(image)

        try:
            found = await self.projections.run(job, gone=gone)
        except QueueFullError as error:
            raise self._refused("projections", RETRY_PROJECTION_AFTER_S) from error
        except LateError as error:
            raise Problem(503, f"{error}; try again", headers=_soon()) from error
        self.metrics.projections.labels(served.model.name).inc()
        return found

    @asynccontextmanager
    async def decode(self, pixels: int) -> AsyncIterator[None]:
        """A turn to decode uploads of so many pixels.

        Raises:
            Problem: 429 when too many wait.
        """
        try:
            async with self.decoders.turn(pixels):
                yield
        except TooManyPixelsError as error:
            raise self._overloaded() from error

    def check_room(self, images: int = 1) -> None:
        """Refuse what cannot be begun now, before anything is made for it.

        Raises:
            Problem: 429 when the queue is full.
        """
        if not self.engine.has_room_for(images):
            raise self._overloaded()

    async def _run(self, network: Network, rows: Rows, *, may_wait: bool) -> Rows:
        try:
            return await self.engine.run(network, rows, may_wait=may_wait)
        except OverloadedError as error:
            raise self._overloaded() from error
        except ExhaustedError as error:
            raise Problem(503, f"{error}; ask for fewer, or try again", headers=_soon()) from error
        except StoppedError as error:
            raise Problem(503, "the engine does not answer; /readyz says why", headers=_soon()) from error

    def _overloaded(self) -> Problem:
        return self._refused("images", RETRY_AFTER_S)

    def _refused(self, what: str, retry_after_s: int) -> Problem:
        self.metrics.shed.labels(what).inc()
        return overloaded(what, retry_after_s)


def overloaded(what: str, retry_after_s: int) -> Problem:
    """The problem of a service in which as many as may wait already."""
    headers = {"Retry-After": str(retry_after_s)}
    return Problem(429, f"too many {what} wait; try again in {retry_after_s} s", headers=headers)


def _soon() -> dict[str, str]:
    return {"Retry-After": str(RETRY_AFTER_S)}


async def _state(request: Request) -> State:  # not `def`: FastAPI would send that to a thread
    return cast("State", request.app.state.gan)


SharedState = Annotated[State, Depends(_state)]
