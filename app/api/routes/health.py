"""`/healthz`, `/readyz` and `/metrics`: for supervisors and monitoring, not for people."""

import asyncio

from fastapi import APIRouter, Response

from app.api.schemas.health import Health, Readiness
from app.api.state import SharedState, State
from app.api.strict_route import StrictRoute
from app.inference.engine import StoppedError
from app.problems import Problem, documented
from app.telemetry.metrics import CONTENT_TYPE
from app.telemetry.worker_files import LostFilesError

PING_TIMEOUT_S = 2.0

_NOT_READY = Readiness(
    ready=False,
    engine="answering",
    models=[],
    models_folder="readable",
    broken={
        "mine": "mine/model.safetensors is missing; a model folder needs it (`python -m training export` writes it)"
    },
).model_dump()
_METRICS = """\
# HELP gan_http_requests_total Requests that have ended, by route, method and status (499: the client had gone)
# TYPE gan_http_requests_total counter
gan_http_requests_total{method="GET",route="/v1/samples",status="200"} 19.0
"""

_LOST = Problem(
    503,
    "the files in which the workers keep their metrics were removed from the temporary folder, so the sums are lost; "
    "restart the service, and let nothing remove its folder gan-workers-… there",
    name="metrics-lost",
)

router = APIRouter(tags=["health"], route_class=StrictRoute)


@router.get("/healthz", summary="Is the process alive?")
async def get_health() -> Health:
    """Answers 200 as long as the process can answer at all."""
    return Health(status="alive")


@router.get(
    "/readyz",
    summary="Can the service answer requests?",
    responses={
        503: {
            "model": Readiness,
            "description": "Not ready",
            "content": {"application/json": {"example": _NOT_READY}},
        }
    },
)
async def get_readiness(state: SharedState, response: Response) -> Readiness:
    """Answers 200 if a model is usable, the engine answers and the service is not about to end, and 503 otherwise.

    `broken` names the model folders that cannot be used, with the reasons, and `models_folder` says what is wrong with
    the folder that holds them.
    """
    readiness = await readiness_of(state)
    response.status_code = 200 if readiness.ready else 503
    return readiness


async def readiness_of(state: State) -> Readiness:
    """Find out whether requests can be answered now, and if not, why."""
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
    return Readiness(
        ready=ready,
        engine=engine,
        models=models,
        models_folder=catalog.folder_state,
        broken=dict(catalog.broken),
    )


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    response_class=Response,
    responses={
        200: {
            "description": "The metrics in Prometheus' text format. The example has one of them",
            "content": {"text/plain": {"schema": {"type": "string"}, "example": _METRICS}},
        },
        **documented(_LOST),
    },
)
async def get_metrics(state: SharedState) -> Response:
    """Gives counts and times of requests, queues, calls of the networks and encoding, and counts of images."""
    if state.replicas is not None:
        return Response(await state.replicas.metrics(), media_type=CONTENT_TYPE)
    state.metrics.settle()
    try:
        text = await asyncio.to_thread(state.metrics.text)  # each worker has files of its own to be read
    except LostFilesError as error:
        raise _LOST from error
    return Response(text, media_type=CONTENT_TYPE)
