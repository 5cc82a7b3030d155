"""Our service with Ray Serve's `@serve.batch` in place of our engine's batching."""

import asyncio

import numpy as np
from ray import serve
from starlette.types import ASGIApp

import app.main
from app.inference.batch_queue import MAX_BATCH_ROWS
from app.inference.engine import Engine
from app.inference.jobs import Network, Rows
from app.ray import Replica
from models.inference.integer_generator import ROWS_AT_ONCE


class BatchEngine(Engine):
    """An engine whose batches are made by `@serve.batch`: of the same largest size, with no timer, on their own thread.

    Serve batches the calls of one function and knows nothing of networks, so a batch becomes one call for each network
    in it.
    """

    async def run(self, network: Network, rows: Rows, *, may_wait: bool = False) -> Rows:  # noqa: ARG002
        """Apply a network to rows."""
        results: Rows = await self._batched((network, rows))
        return results

    @serve.batch(
        max_batch_size=ROWS_AT_ONCE,
        batch_wait_timeout_s=0,
        max_concurrent_batches=1,
        batch_size_fn=lambda asked: sum(
            min(len(rows), MAX_BATCH_ROWS) for _, rows in asked
        ),  # a large job has a batch of its own
    )
    async def _batched(self, asked: list[tuple[Network, Rows]]) -> list[Rows]:
        return await asyncio.to_thread(compute, asked)


def compute(asked: list[tuple[Network, Rows]]) -> list[Rows]:
    """Return the results of a batch, in order, with one call for each network in it."""
    results: dict[int, Rows] = {}
    for network in dict.fromkeys(network for network, _ in asked):
        places = [k for k, (other, _) in enumerate(asked) if other is network]
        parts = [asked[k][1] for k in places]
        found = network(np.concatenate(parts))
        ends = np.cumsum([len(part) for part in parts])[:-1]
        results |= dict(zip(places, np.split(found, ends), strict=True))
    return [results[k] for k in range(len(asked))]


class BatchReplica(Replica):
    """A replica that differs from `app.ray`'s only in its batching."""

    async def __serve_build_asgi_app__(self) -> ASGIApp:
        """Make the application, with `BatchEngine` as its engine."""
        app.main.Engine = BatchEngine  # type: ignore[attr-defined]
        return await super().__serve_build_asgi_app__()
