"""The application: loads the models, starts the engine, and installs the routes, the errors and the pages."""

import asyncio
import logging
import platform
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import torch
from fastapi import FastAPI
from PIL import Image
from starlette.types import Lifespan, Receive, Scope, Send

from app import problems
from app.api.openapi import document
from app.api.openapi.generators import short_operation_id
from app.api.reload import Reloader
from app.api.replicas import Replicas
from app.api.routes import admin, health, interpolations, models, pages, projections, samples, score
from app.api.state import State
from app.inference.catalog import load_catalog
from app.inference.decode_slots import Decoders
from app.inference.engine import Engine
from app.inference.projection_queue import DEADLINE_S, ProjectionQueue
from app.inference.watchdog import watch
from app.late_imports import import_late_parts
from app.middleware.access_log import Spans
from app.middleware.body_limit import LimitBodies
from app.middleware.entrance import Entrance
from app.middleware.head_requests import AnswerHead
from app.middleware.request_count import CountRequests
from app.request_headers import join_repeated
from app.settings import Settings
from app.telemetry.metrics import Metrics
from models import __version__
from models.device import resolve_device
from models.inference.word_sampler import words_with_class
from models.latents import draw_latents, draw_words

DESCRIPTION = """\
Draws images with the generator G of a GAN, which was trained in the minimax game of
[Goodfellow et al. 2014](https://arxiv.org/abs/1406.2661), gives the latents of the images, and scores the images
that you upload with the discriminator D.

Image *i* of a seed and a model version is always the same image. The header `Content-Location` has the permanent URL of
an answer. Errors are [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457) problem documents that name the bad parameter.
"""

TAGS = [
    {"name": "samples", "description": "Images drawn by G"},
    {"name": "score", "description": "D's score of uploaded images"},
    {"name": "projections", "description": "The latent whose image is nearest to an uploaded image"},
    {"name": "models", "description": "The models, and how each was trained"},
    {"name": "health", "description": "Health checks and metrics, for supervisors and dashboards"},
]

PIXELS_WAITING = 8
"""The pixels that may wait to be decoded, counted in uploads of the largest size: about ten seconds' work."""

_log = logging.getLogger(__name__)


class _Application(FastAPI):
    """FastAPI with the outer layers of `app.middleware.entrance` around it, so that they see FastAPI's own answers."""

    def __init__(
        self, settings: Settings, *, metrics: Metrics, entrance: Entrance, lifespan: Lifespan["_Application"]
    ) -> None:
        super().__init__(
            title="GAN service",
            version=__version__,
            description=DESCRIPTION,
            openapi_tags=TAGS,
            generate_unique_id_function=short_operation_id,
            lifespan=lifespan,
            redirect_slashes=False,  # `app.problems` redirects, without naming a host
            openapi_url=None,  # `app.api.openapi.document` adds this route
            docs_url=None,
            redoc_url=None,
            telemetry={
                "tracing": False,
                "metrics": False,
                "logs": False,
                "auto_configure": False,
            },  # app.middleware.tracing
        )
        self.root_path = settings.root_path  # as an argument it is deprecated, and would warn at each start
        self.state.entrance = entrance
        self._service = entrance.around(super().__call__, metrics)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request (ASGI)."""
        scope["app"] = self
        if self.root_path:
            scope["root_path"] = self.root_path
            if scope["type"] == "http" and not f"{scope['path']}/".startswith(f"{self.root_path}/"):
                scope["path"] = self.root_path + scope["path"]  # a proxy has removed the prefix, which mounts look for
        if scope["type"] == "http":  # a route would see only the first line of a repeated header
            scope["headers"] = join_repeated(scope["headers"])
        await self._service(scope, receive, send)


def create_app(
    settings: Settings,
    metrics: Metrics | None = None,
    *,
    is_ending: Callable[[], bool] = lambda: False,
    replicas: Replicas | None = None,
) -> FastAPI:
    """Make the service with these settings. It loads the models when it starts, not before.

    Args:
        settings: the settings of the service.
        metrics: the metrics in which requests are counted; None makes new ones.
        is_ending: function that returns whether the process has been told to end. The service is then no longer ready.
        replicas: all replicas of the service under Ray Serve; None if it runs without Ray Serve.
    """
    metrics = metrics or Metrics()
    Image.MAX_IMAGE_PIXELS = None  # GAN_MAX_FILE_PIXELS is the limit, also where it is above Pillow's own
    metrics.build.labels(__version__, platform.python_version(), torch.__version__).set(1)
    spans = _spans(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        # The engine and the projections have a thread each, and tiles are computed on one (models.inference.tiles).
        torch.set_num_threads(1)
        await import_late_parts()
        device = resolve_device(settings.device)
        catalog = await asyncio.to_thread(
            load_catalog, settings.models_dir, default=settings.default_model, device=device
        )
        engine = Engine(max_queue_rows=settings.max_queue_images, metrics=metrics)
        engine.start()
        queue = ProjectionQueue(max_waiting=settings.max_queue_projections, metrics=metrics)
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
        has_admin_key=settings.admin_key is not None,
        origins=settings.cors_origins,
        access_log=settings.access_log,
        spans=spans,
        root_path=settings.root_path,
    )
    app = _Application(settings, metrics=metrics, entrance=entrance, lifespan=lifespan)
    modules = (samples, interpolations, score, projections, models, health, admin, document)
    problems.install(app, [route for module in (*modules, pages) for route in module.router.routes])
    for module in modules:
        app.include_router(module.router)
    pages.install(app)
    document.install(app, needs_key=bool(settings.api_keys))
    # The layer added last sees a request first: the order is CountRequests, AnswerHead, LimitBodies, the routes.
    app.add_middleware(LimitBodies, max_bytes=settings.max_body_bytes, metrics=metrics)
    app.add_middleware(AnswerHead)
    app.add_middleware(CountRequests, metrics=metrics)
    return app


def _spans(settings: Settings) -> Spans | None:
    """Return the recorder of trace spans; None unless the settings ask for traces."""
    if not settings.otel:
        return None
    from app.middleware.tracing import Tracing  # noqa: PLC0415  (it needs the extra `otel`)

    return Tracing()


async def _warm(state: State) -> None:
    """Run each network once, so that the first request is as fast as the second.

    The jobs wait in the queue even if it is full: a reload must not fail because the service is busy.
    """
    for served in state.catalog.models.values():
        metadata = served.model.metadata
        latents = draw_latents(0, 0, 1, z_dim=metadata.z_dim, prior=metadata.prior)
        images = await state.engine.run(served.sampler, latents, may_wait=True)
        await state.engine.run(served.scorer, images, may_wait=True)
        await state.engine.run(served.explainer, images, may_wait=True)
        words = draw_words(0, 0, 1, z_dim=metadata.z_dim)
        await state.engine.run(served.word_sampler, words, may_wait=True)
        if served.class_sampler is not None:
            await state.engine.run(served.class_sampler, words_with_class(words, 0), may_wait=True)
        state.metrics.models.labels(served.model.reference, served.sampler.arithmetic).set(1)
