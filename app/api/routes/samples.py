"""`/v1/samples`: images of a seed, or of posted latents."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from numpy.typing import NDArray

from app.api import caching
from app.api.content_negotiation import SAMPLES_FORMATS, document_content
from app.api.json_bodies import JSONRoute
from app.api.openapi import examples, links, problem_examples
from app.api.responses import WholeResponse
from app.api.sample_listing import list_samples_aside
from app.api.sample_request import Job, Plan
from app.api.schemas import SamplesAnswer, SamplesBody, SamplesQuery
from app.api.state import SharedState, State
from app.media.archives import Samples, npz_bytes, stream_npz, stream_zip
from app.middleware.disconnects import Watch
from models.latents import check_latents

router = APIRouter(tags=["samples"], route_class=JSONRoute)


def _documented_headers(grid: str, *, etag: str | None = None) -> dict[str, dict[str, object]]:
    location = f"/v1/samples?model={examples.REFERENCE}&seed=7&first=0&{grid}&padding=2&scale=1&format=png"
    return {
        "X-Seed": {"description": "The seed, drawn or given", "schema": {"type": "integer", "example": 7}},
        **caching.documented_headers(etag=etag, content_location=location),
    }


_SENT: dict[str, object] = {
    "description": "The samples, in the format asked for",
    "content": document_content(SAMPLES_FORMATS, json_schema="SamplesAnswer"),
    "links": links.of_samples(),
}


@router.get(
    "/v1/samples",
    summary="Images of a seed",
    response_class=Response,
    responses={
        200: {
            **_SENT,
            "headers": _documented_headers("n=64&columns=8", etag='"d2e91c61c0e6eefd50a1e546b3461700-7"'),
        },
        304: {"description": "Not modified: If-None-Match holds the ETag"},
        **problem_examples.of_drawing(SAMPLES_FORMATS, "n", "0"),
    },
)
async def get_samples(
    request: Request,
    state: SharedState,
    query: Annotated[SamplesQuery, Query()],
    accept: Annotated[str | None, Header(include_in_schema=False)] = None,
    if_none_match: caching.IfNoneMatch = None,
) -> Response:
    """A PNG grid of images `first … first + n − 1` of a seed; or JSON with their latents, an npz, or a ZIP of PNGs.

    Image i of a seed is the same image whatever n, whoever else is asking. `Content-Location` is the URL that gives
    this very answer again, for ever.

    ![Images 0 to 15 of seed 7: v1/samples?n=16&seed=7&columns=8 of a running service](v1/samples?n=16&seed=7&columns=8)
    """
    root_path = request.scope.get("root_path", "")
    with Watch(request.receive):
        return await answer(state, query, root_path=root_path, accept=accept, if_none_match=if_none_match)


async def answer(
    state: State, query: SamplesQuery, *, root_path: str, accept: str | None, if_none_match: str | None
) -> Response:
    """The answer to a checked `GET /v1/samples`.

    Args:
        state: the service's.
        query: what to draw.
        root_path: the prefix of this service's URLs.
        accept: the header, if any.
        if_none_match: the header, if any.

    Raises:
        Problem: what is asked for cannot be had.
    """
    job = Plan.of(state, query, accept, root_path=root_path, is_public=True).job()
    headers = job.headers()
    if caching.matches(if_none_match, headers["etag"]):
        return WholeResponse(b"", headers, status_code=304)
    return await _respond(state, job, headers)


@router.post(
    "/v1/samples",
    summary="Images of posted latents, or of a seed",
    response_class=Response,
    responses={
        200: {**_SENT, "headers": _documented_headers("n=16&columns=4")},
        **problem_examples.of_drawing(SAMPLES_FORMATS, "n", 0),
        **problem_examples.of_body(),
    },
)
async def post_samples(
    request: Request,
    state: SharedState,
    body: SamplesBody,
    accept: Annotated[str | None, Header(include_in_schema=False)] = None,
) -> Response:
    """The same as `GET` with a JSON body, where `latents` may stand in place of seed, first and n.

    A latent from an earlier JSON answer gives the identical image.
    """
    served = state.catalog.find(body.model)
    posted = None if body.latents is None else check_latents(body.latents, z_dim=served.model.metadata.z_dim)
    root_path = request.scope.get("root_path", "")
    job = Plan.of(state, body, accept, root_path=root_path, is_public=False, posted=posted).job()
    with Watch(request.receive):
        return await _respond(state, job, job.headers())


async def _respond(state: State, job: Job, headers: dict[str, str]) -> Response:
    form, n = job.plan.form, job.plan.n
    state.check_room(n if form in ("png", "json") else 1)  # of an archive the chunks wait, once it has begun
    if form == "png":
        return WholeResponse(await _grid(state, job), headers, media_type=SAMPLES_FORMATS["png"])
    if form == "json":
        return WholeResponse(await _json(state, job), headers, media_type=SAMPLES_FORMATS["json"])
    return await _archive(state, job, headers)


async def _grid(state: State, job: Job) -> bytes:
    images = await job.images(state)
    started = time.perf_counter()
    png = job.png(images) if job.plan.is_small else await asyncio.to_thread(job.png, images)
    state.metrics.count_encoding("png", started=started)
    return png


async def _json(state: State, job: Job) -> bytes:
    plan = job.plan
    latents = job.latents(0, plan.n)
    images = await state.draw(plan.served, latents)
    started = time.perf_counter()
    model, shape = plan.served.model, plan.served.model.metadata.image_shape
    answer = SamplesAnswer(
        model=model.reference,
        model_sha256=model.sha256,
        seed=job.seed,
        first=plan.first,
        prior=model.metadata.prior,
        z_dim=model.metadata.z_dim,
        width=shape.width,
        height=shape.height,
        channels=shape.channels,
        samples=await list_samples_aside(latents, images, first=plan.first),
    )
    encoded = answer.model_dump_json().encode()
    state.metrics.count_encoding("json", started=started)
    return encoded


async def _archive(state: State, job: Job, headers: dict[str, str]) -> Response:
    plan = job.plan
    metadata = plan.served.model.metadata
    samples = Samples(plan.first, plan.n, job.latents, metadata.image_shape.array, metadata.z_dim)

    async def images() -> AsyncIterator[NDArray[np.uint8]]:
        for _, latents in samples.chunks():
            yield await state.draw(plan.served, latents, may_wait=True)

    if plan.form == "npz":
        stream, headers = stream_npz(samples, images()), headers | {"content-length": str(npz_bytes(samples))}
    else:
        stream = stream_zip(samples, images())
    source = "latents" if job.seed is None else f"seed{job.seed}"
    if plan.asked.digit is not None:
        source += f"-digit{plan.asked.digit}"
    name = f"{plan.served.model.name}-{source}-{plan.first}-{plan.n}.{plan.form}"
    headers = headers | {"content-disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(stream, headers=headers, media_type=SAMPLES_FORMATS[plan.form])
