"""What the routes share: made once when the service starts, handed to each request."""

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request

from app.catalog import Catalog, ServedModel
from app.engine import Engine, OverloadedError, Rows, StoppedError
from app.metrics import Metrics
from app.problems import Problem
from app.settings import Settings

RETRY_AFTER_S = 1


@dataclass(frozen=True)
class State:
    """Settings, models, engine and metrics of one service."""

    settings: Settings
    catalog: Catalog
    engine: Engine
    metrics: Metrics

    async def draw(self, served: ServedModel, latents: Rows, *, may_wait: bool = False) -> Rows:
        """G of latents, through the engine.

        Raises:
            Problem: 429 when the queue is full, 503 when the engine has stopped.
        """
        images = await self._run(served.sampler, latents, may_wait=may_wait)
        self.metrics.images.labels(served.model.name).inc(len(images))
        return images

    async def score(self, served: ServedModel, images: Rows) -> Rows:
        """D's logits of images, through the engine.

        Raises:
            Problem: 429 when the queue is full, 503 when the engine has stopped.
        """
        logits = await self._run(served.scorer, images, may_wait=False)
        self.metrics.scored.labels(served.model.name).inc(len(images))
        return logits

    def check_room(self) -> None:
        """Refuse what cannot be begun now.

        Raises:
            Problem: 429 when the queue is full.
        """
        if not self.engine.has_room:
            raise self._overloaded()

    async def _run(self, network: object, rows: Rows, *, may_wait: bool) -> Rows:
        try:
            return await self.engine.run(network, rows, may_wait=may_wait)  # type: ignore[arg-type]
        except OverloadedError as error:
            raise self._overloaded() from error
        except StoppedError as error:
            raise Problem(503, "the engine does not answer; /readyz says why") from error

    def _overloaded(self) -> Problem:
        self.metrics.shed.inc()
        headers = {"Retry-After": str(RETRY_AFTER_S)}
        return Problem(429, f"too many images wait; try again in {RETRY_AFTER_S} s", headers=headers)


async def _state(request: Request) -> State:  # not `def`: FastAPI would send that to a thread
    return cast("State", request.app.state.gan)


SharedState = Annotated[State, Depends(_state)]
