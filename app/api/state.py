"""The objects that all routes share. They are made when the service starts, and every request gets them."""

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
    """The shared objects of a service; `is_ending` returns whether the process has been told to end."""

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
        """The parser of requests for samples from this catalog's models."""
        return SampleRequests(self.catalog)

    async def draw(
        self, served: ServedModel, rows: Rows, *, network: Network | None = None, may_wait: bool = False
    ) -> Rows:
        """Draw images with G, through the engine.

        Args:
            served: the model.
            rows: [n, …], the input of `network`; for the default network these are latents [n, z_dim].
            network: the network to run, one of the model's generators; None takes `served.sampler`.
            may_wait: whether to take the job even if the queue is full, for later chunks of an answer that has begun.

        Raises:
            Problem: 429 if the queue is full, 503 if the engine has stopped or has not enough memory.
        """
        images = await self._run(network or served.sampler, rows, may_wait=may_wait)
        self.metrics.count_images(served.model.name, len(images))
        return images

    async def score(self, served: ServedModel, images: Rows, *, may_wait: bool = False) -> Rows:
        """Compute D's logits of images, through the engine.

        Raises:
            Problem: 429 if the queue is full, 503 if the engine has stopped or has not enough memory.
        """
        logits = await self._run(served.scorer, images, may_wait=may_wait)
        self.metrics.scored.labels(served.model.name).inc(len(images))
        return logits

    async def explain(self, served: ServedModel, images: Rows) -> Rows:
        """Compute the gradients of D's logits with respect to the pixels of images, through the engine.

        A full queue takes this job, too: the images have been scored, and an answer is not refused half-way.

        Raises:
            Problem: 503 if the engine has stopped or has not enough memory.
        """
        return await self._run(served.explainer, images, may_wait=True)

    async def project(self, served: ServedModel, image: Rows, *, gone: Coroutine[None, None, None]) -> FoundLatent:
        """Find the latent whose image is nearest to an image, through the queue of projections.

        Args:
            served: the model whose latents are searched.
            image: the image to search for, [H, W] or [H, W, 3] uint8.
            gone: a coroutine that ends when the client has disconnected.

        Raises:
            Problem: 429 if the queue is full, 503 if the search takes too long.
            ClientGoneError: the client has disconnected.
        """

        def job() -> FoundLatent:
            with self.metrics.projection_seconds.labels(served.model.name).time():
                return served.projector(image)

        try:
            found = await self.projections.run(job, gone=gone)
        except QueueFullError as error:
            raise self._refused("projections", RETRY_PROJECTION_AFTER_S) from error
        except LateError as error:
            raise Problem(503, f"{error}; try again", headers=soon()) from error
        self.metrics.projections.labels(served.model.name).inc()
        return found

    @asynccontextmanager
    async def decode(self, pixels: int) -> AsyncIterator[None]:
        """Wait for a slot to decode uploads with this many pixels, and hold it while the context is open.

        Raises:
            Problem: 429 if too many pixels wait.
        """
        try:
            async with self.decoders.turn(pixels):
                yield
        except TooManyPixelsError as error:
            raise self._overloaded() from error

    def check_room(self, images: int = 1) -> None:
        """Refuse a request whose images do not fit into the engine's queue, before any work is done for it.

        Raises:
            Problem: 429 if the images do not fit.
        """
        if not self.engine.has_room_for(images):
            raise self._overloaded()

    async def _run(self, network: Network, rows: Rows, *, may_wait: bool) -> Rows:
        try:
            return await self.engine.run(network, rows, may_wait=may_wait)
        except OverloadedError as error:
            raise self._overloaded() from error
        except ExhaustedError as error:
            raise Problem(503, f"{error}; ask for fewer, or try again", headers=soon()) from error
        except StoppedError as error:
            raise Problem(
                503, f"the engine does not answer; /readyz says why; try again in {RETRY_AFTER_S} s", headers=soon()
            ) from error

    def _overloaded(self) -> Problem:
        return self._refused("images", RETRY_AFTER_S)

    def _refused(self, what: str, retry_after_s: int) -> Problem:
        self.metrics.shed.labels(what).inc()
        return overloaded(what, retry_after_s)


def overloaded(what: str, retry_after_s: int) -> Problem:
    """Return the problem (429) of a request that arrives while the most `what` allowed ("images", …) are waiting."""
    headers = {"Retry-After": str(retry_after_s)}
    return Problem(429, f"too many {what} wait; try again in {retry_after_s} s", headers=headers)


def soon() -> dict[str, str]:
    """Return the header Retry-After with the time after which a client may try again: `RETRY_AFTER_S` seconds."""
    return {"Retry-After": str(RETRY_AFTER_S)}


async def _state(request: Request) -> State:  # async, since FastAPI would run a plain function in a thread
    return cast("State", request.app.state.gan)


SharedState = Annotated[State, Depends(_state)]
