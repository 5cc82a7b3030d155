"""`/healthz`, `/readyz` and `/metrics`: for supervisors, not for people."""

import asyncio

from fastapi import APIRouter, Response

from app.api.schemas.health import Health, Readiness
from app.api.state import SharedState, State
from app.inference.engine import StoppedError
from app.telemetry.metrics import CONTENT_TYPE

PING_TIMEOUT_S = 2.0

_NOT_READY = Readiness(
    ready=False,
    engine="answering",
    models=[],
    broken={
        "mine": "mine/model.safetensors is missing; a model folder needs it (`python -m training export` writes it)"
    },
).model_dump()
_METRICS = """\
# HELP gan_http_requests_total Requests that have ended, by route, method and status (499: the client had gone)
# TYPE gan_http_requests_total counter
gan_http_requests_total{method="GET",route="/v1/samples",status="200"} 19.0
"""

router = APIRouter(tags=["health"])


@router.get("/healthz", summary="Is the process alive?")
async def get_health() -> Health:
    """200 as long as the process answers at all."""
    return Health(status="alive")


@router.get(
    "/readyz",
    summary="Can it answer requests?",
    responses={
        503: {
            "model": Readiness,
            "description": "Not ready",
            "content": {"application/json": {"example": _NOT_READY}},
        }
    },
)
async def get_readiness(state: SharedState, response: Response) -> Readiness:
    """200 when a model is loaded and warm and the engine answers; else 503. Names folders that cannot be used."""
    readiness = await readiness_of(state)
    response.status_code = 200 if readiness.ready else 503
    return readiness


async def readiness_of(state: State) -> Readiness:
    """Whether requests can be answered now, and what stands in the way."""
    engine = "answering"
    try:
        await state.engine.ping(timeout_s=PING_TIMEOUT_S)
    except StoppedError as error:
        engine = str(error)
    if state.is_ending():
        engine = "answering, but the service has been told to end"
    catalog = state.catalog
    ready = engine == "answering" and catalog.default is not None
    models = [served.model.reference for served in catalog.models.values()]
    return Readiness(ready=ready, engine=engine, models=models, broken=dict(catalog.broken))


@router.get(
    "/metrics",
    summary="Counters for Prometheus",
    response_class=Response,
    responses={
        200: {
            "description": "Prometheus text; the example has one counter",
            "content": {"text/plain": {"schema": {"type": "string"}, "example": _METRICS}},
        }
    },
)
async def get_metrics(state: SharedState) -> Response:
    """Requests, latencies, the queue and its waits, calls of the networks, encoding, images made and scored."""
    if state.replicas is not None:
        return Response(await state.replicas.metrics(), media_type=CONTENT_TYPE)
    state.metrics.settle()
    text = await asyncio.to_thread(state.metrics.text)  # those of many workers are read from as many files
    return Response(text, media_type=CONTENT_TYPE)
