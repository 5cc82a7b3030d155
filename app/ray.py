"""`serve run app.ray:app`: run the service as replicas of Ray Serve. Each replica is a complete service.

A replica is the application of `app.main`, with an engine, queues and limits of its own; there is no second
implementation. Ray Serve's proxy is the HTTP server. `Door` does as much of the work of `app.server` as an application
can do; docs/scaling.md says what is missing. Each replica answers `/metrics` for all of them, and a reload reaches all.
"""

import asyncio
import logging
from typing import Any

from fastapi import FastAPI
from ray import serve
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.replicas import merge
from app.api.routes.health import readiness_of
from app.main import create_app
from app.server.admission import Admission
from app.server.uvicorn_server import SECURITY_HEADERS
from app.settings import Settings
from app.telemetry.logs import configure
from app.telemetry.metrics import Metrics

MAX_ONGOING_REQUESTS = 320
"""The most requests that Ray Serve hands to one replica at once.

This is more than the default of GAN_MAX_REQUESTS. So the replica is the first to refuse, with the problem document that
the API promises, and the requests of supervisors still get in.
"""

MAX_QUEUED_REQUESTS = 320
"""The most requests that may wait in a proxy for a replica. Ray Serve refuses more with 429, not with our document."""

TARGET_ONGOING_REQUESTS = 16
"""Ray Serve adds replicas while each has more requests than this, in progress or waiting, on average."""

REPLICAS_TIMEOUT_S = 5.0
"""Seconds to wait for the metrics of the other replicas."""

_log = logging.getLogger(__name__)


class NotReadyError(Exception):
    """A replica cannot answer requests, and Ray Serve has to replace it."""


class Replica:
    """One replica. Ray Serve calls its methods."""

    async def __serve_build_asgi_app__(self) -> ASGIApp:
        """Make the application in the replica's process, with the settings of its environment.

        Raises:
            ValidationError: a setting is wrong. Ray Serve then stops the deployment and says why.
        """
        settings = Settings()
        configure(settings.log_level, settings.log_format)
        self._metrics = Metrics()
        self._service: FastAPI = create_app(settings, self._metrics, replicas=_ServeReplicas(self))
        admission = Admission(
            max_requests=settings.max_requests,
            metrics=self._metrics,
            root_path=settings.root_path,
            origins=settings.cors_origins,
        )
        return Door(self._service, admission, self._metrics)

    async def check_health(self) -> None:
        """Check what `/readyz` reports.

        Raises:
            NotReadyError: the engine does not answer, or no model is usable.
        """
        readiness = await readiness_of(self._service.state.gan)
        if not readiness.ready:
            raise NotReadyError(f"the replica is not ready: {readiness.model_dump_json()}")

    async def reload_models(self) -> None:
        """Read the models folder again."""
        await self._service.state.reloader.reload()

    async def own_metrics(self) -> tuple[str, bytes]:
        """Return this replica's name and its metrics, in Prometheus' text format."""
        self._metrics.settle()
        text = await asyncio.to_thread(self._metrics.text)
        return serve.get_replica_context().replica_id.unique_id, text


class Door:
    """An ASGI layer that limits the requests in progress where Ray Serve, and not this service, owns the connections.

    While the maximum number of requests is in progress, it refuses further ones. It adds the security headers to every
    answer. A slow client's request counts like any other, because nothing is known here about its connection.

    Args:
        app: the ASGI application that this layer wraps.
        admission: the limit that decides which requests may come in.
        metrics: the metrics, with a gauge of the requests in progress.
    """

    def __init__(self, app: ASGIApp, admission: Admission, metrics: Metrics) -> None:
        self._app = app
        self._admission = admission
        self._metrics = metrics
        self._under_way = 0
        self._headers = [(name.lower().encode(), value.encode()) for name, value in SECURITY_HEADERS]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_on(message: Message) -> None:
            if message["type"] == "http.response.start":  # the proxy adds the request's id, ours or its own
                own = [pair for pair in message.get("headers", ()) if pair[0] != b"x-request-id"]
                message = {**message, "headers": self._headers + own}
            await send(message)

        admission = self._admission
        if self._under_way >= admission.max_requests and not admission.lets_in(
            scope["path"].encode(), self._under_way, lambda: 0
        ):
            await admission.refuse(scope, receive, send_on)
            return
        self._count(+1)
        try:
            await self._app(scope, receive, send_on)
        finally:
            self._count(-1)

    def _count(self, change: int) -> None:
        self._under_way += change
        self._metrics.in_progress.set(self._under_way)


class _ServeReplicas:
    """All replicas of this deployment, called through Ray Serve. It implements `app.api.replicas.Replicas`."""

    def __init__(self, own: Replica) -> None:
        self._own = own

    async def reload(self) -> None:
        for result in await self._broadcast("reload_models").results_async(return_exceptions=True):
            if isinstance(result, BaseException):  # it has died, or could not read its folder and has logged why
                _log.error("a replica could not read the models folder again: %r", result)

    async def metrics(self) -> bytes:
        own = await self._own.own_metrics()
        try:
            found = await self._broadcast("own_metrics").results_async(
                timeout_s=REPLICAS_TIMEOUT_S, return_exceptions=True
            )
        except TimeoutError:
            _log.warning(
                "not all replicas sent their metrics within %g s; this answer has those of one replica only",
                REPLICAS_TIMEOUT_S,
            )
            found = []
        told = [one for one in found if not isinstance(one, BaseException)]
        return await asyncio.to_thread(merge, dict([own, *told]))

    @staticmethod
    def _broadcast(method: str) -> Any:  # noqa: ANN401  (ray has no types in the service's own environment)
        here = serve.get_replica_context()
        return serve.get_deployment_handle(here.deployment, here.app_name).broadcast(method)


deployment = serve.deployment(
    name="gan",
    max_ongoing_requests=MAX_ONGOING_REQUESTS,
    max_queued_requests=MAX_QUEUED_REQUESTS,
    backpressure_config={"status_code": 429, "retry_after_s": 1},
    autoscaling_config={
        "min_replicas": 1,
        "max_replicas": 4,
        "target_ongoing_requests": TARGET_ONGOING_REQUESTS,
        "upscale_delay_s": 5,
        "downscale_delay_s": 120,
    },
    ray_actor_options={"num_cpus": 1},
    logging_config={"enable_access_log": False},  # GAN_ACCESS_LOG is better: it knows paths and routes
    health_check_period_s=5,
    health_check_timeout_s=10,
    graceful_shutdown_timeout_s=60,
)(serve.ingress()(Replica))
"""The deployment. A replica gets one core, since its engine computes on one thread; deploy/ray-serve.yaml has GPUs."""

app = deployment.bind()
