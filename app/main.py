"""The application: models and engine made at start, routes, errors, pages."""

import asyncio
import logging
import platform
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import torch
from fastapi import FastAPI
from starlette.types import Lifespan, Receive, Scope, Send

from app import problems
from app.api.openapi import document
from app.api.reload import Reloader
from app.api.replicas import Replicas
from app.api.routes import admin, health, interpolations, models, pages, projections, samples, score
from app.api.state import State
from app.inference.catalog import load_catalog
from app.inference.decode_slots import Decoders
from app.inference.engine import Engine
from app.inference.projection_queue import DEADLINE_S, ProjectionQueue
from app.inference.watchdog import watch
from app.middleware.access_log import Spans
from app.middleware.body_limit import LimitBodies
from app.middleware.entrance import Entrance
from app.middleware.head_requests import AnswerHead
from app.middleware.request_count import CountRequests
from app.request_headers import headers_of
from app.settings import Settings
from app.telemetry.metrics import Metrics
from models import __version__
from models.device import resolve_device
from models.inference.projection import prepare
from models.inference.word_sampler import words_with_class
from models.latents import draw_latents, draw_words

DESCRIPTION = """\
Images from a generator that learnt by playing the minimax game of
[Goodfellow et al. 2014](https://arxiv.org/abs/1406.2661), the latents behind them, and the discriminator's score of the
images that you upload.

Image *i* of a seed is the same image for ever: `Content-Location` is its permanent URL. Errors are
[RFC 9457](https://www.rfc-editor.org/rfc/rfc9457) problem documents that name the bad parameter.
"""

TAGS = [
    {"name": "samples", "description": "Images drawn by G"},
    {"name": "score", "description": "D's opinion of images"},
    {"name": "projections", "description": "Latents of images"},
    {"name": "models", "description": "The models, and how they were trained"},
    {"name": "health", "description": "For supervisors and dashboards"},
]

PIXELS_WAITING = 8
"""As many times the pixels of the largest upload may wait to be decoded: some ten seconds' work."""

_log = logging.getLogger(__name__)


class _Application(FastAPI):
    """FastAPI's application behind its entrance, which also sees what FastAPI answers by itself."""

    def __init__(
        self, settings: Settings, *, metrics: Metrics, entrance: Entrance, lifespan: Lifespan["_Application"]
    ) -> None:
        super().__init__(
            title="GAN service",
            version=__version__,
            description=DESCRIPTION,
            openapi_tags=TAGS,
            lifespan=lifespan,
            root_path=settings.root_path,
            docs_url=None,
            redoc_url=None,
            telemetry={
                "tracing": False,
                "metrics": False,
                "logs": False,
                "auto_configure": False,
            },  # app.middleware.tracing
        )
        self.state.entrance = entrance
        self._service = entrance.around(super().__call__, metrics)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request: ASGI."""
        scope["app"] = self
        if self.root_path:
            scope["root_path"] = self.root_path
        if scope["type"] == "http" and len(headers := headers_of(scope)) < len(scope["headers"]):
            scope["headers"] = list(headers.items())  # routes would see the first of several lines alone
        await self._service(scope, receive, send)


def create_app(
    settings: Settings,
    metrics: Metrics | None = None,
    *,
    is_ending: Callable[[], bool] = lambda: False,
    replicas: Replicas | None = None,
) -> FastAPI:
    """The service with these settings; models are loaded when it starts, not before.

    Args:
        settings: of the service.
        metrics: where to count; None takes new ones.
        is_ending: whether the process has been told to end: it is no longer ready.
        replicas: all processes that serve this together under Ray Serve; None where there are no replicas.
    """
    metrics = metrics or Metrics()
    metrics.build.labels(__version__, platform.python_version(), torch.__version__).set(1)
    spans = _spans(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        # The engine and the projections have a thread each, and the engine's tiles want no more (inference.tiles).
        torch.set_num_threads(1)
        device = resolve_device(settings.device)
        catalog = await asyncio.to_thread(
            load_catalog, settings.models_dir, default=settings.default_model, device=device
        )
        engine = Engine(max_queue_rows=settings.max_queue_images, metrics=metrics)
        engine.start()
        queue = ProjectionQueue(max_waiting=settings.max_queue_projections, metrics=metrics)
        queue.prepare(prepare)  # it takes a second, for which nobody has to wait but a first projection
        decoders = Decoders(max_pixels=PIXELS_WAITING * settings.max_file_pixels)
        state = State(settings, catalog, engine, queue, decoders, metrics, is_ending, replicas)
        await _warm(state)
        app.state.gan = state
        app.state.reloader = Reloader(app, device=device, warm=_warm)
        app.state.reloader.on_signal()
        watching = asyncio.create_task(watch({engine: settings.engine_timeout_s, queue: DEADLINE_S}))
        try:
            yield
        finally:
            watching.cancel()
            await asyncio.to_thread(queue.stop)
            await asyncio.to_thread(engine.stop)
            metrics.settle()
            if spans is not None:
                await asyncio.to_thread(spans.stop)

    entrance = Entrance(
        key_hashes=settings.api_keys,
        origins=settings.cors_origins,
        access_log=settings.access_log,
        spans=spans,
        root_path=settings.root_path,
    )
    app = _Application(settings, metrics=metrics, entrance=entrance, lifespan=lifespan)
    modules = (samples, interpolations, score, projections, models, health, admin)
    problems.install(app, [route for module in (*modules, pages) for route in module.router.routes])
    for module in modules:
        app.include_router(module.router)
    pages.install(app)
    document.install(app)
    # The last one added is the first to see a request: it passes CountRequests, AnswerHead, LimitBodies, the routes.
    app.add_middleware(LimitBodies, max_bytes=settings.max_body_bytes, metrics=metrics)
    app.add_middleware(AnswerHead)
    app.add_middleware(CountRequests, metrics=metrics)
    return app


def _spans(settings: Settings) -> Spans | None:
    """Where to record spans, if that is asked for."""
    if not settings.otel:
        return None
    from app.middleware.tracing import Tracing  # noqa: PLC0415  (of the extra `otel`, which is not there otherwise)

    return Tracing()


async def _warm(state: State) -> None:
    """Run each network once, so that the first request is as quick as the second."""
    for served in state.catalog.models.values():
        metadata = served.model.metadata
        latents = draw_latents(0, 0, 1, z_dim=metadata.z_dim, prior=metadata.prior)
        images = await state.engine.run(served.sampler, latents)
        await state.engine.run(served.scorer, images)
        await state.engine.run(served.explainer, images)
        words = draw_words(0, 0, 1, z_dim=metadata.z_dim)
        await state.engine.run(served.word_sampler, words)
        if served.class_sampler is not None:
            await state.engine.run(served.class_sampler, words_with_class(words, 0))
        state.metrics.models.labels(served.model.reference).set(1)
