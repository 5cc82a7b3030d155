"""`/v1/samples`: images of a seed, or of posted latents."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from numpy.typing import NDArray

from app.api import caching
from app.api.class_parameter import class_in_url
from app.api.content_negotiation import SAMPLES_FORMATS, document_content
from app.api.json_bodies import JSONRoute
from app.api.openapi import examples, links, problem_examples
from app.api.openapi.parameters import parameters_of
from app.api.sample_request import SampleJob, read_head
from app.api.schemas.samples import SamplesBody, SamplesQuery
from app.api.state import SharedState, State
from app.api.whole_response import HeadResponse, WholeResponse
from app.media.archives import ArchiveContents, npz_bytes, stream_npz, stream_zip
from app.middleware.disconnects import Watch
from app.middleware.head_requests import is_head

router = APIRouter(tags=["samples"], route_class=JSONRoute)


def _documented_headers(grid: str, *, etag: str | None = None) -> dict[str, dict[str, object]]:
    location = f"/v1/samples?model={examples.REFERENCE}&seed=7&first=0&{grid}&padding=2&scale=1&format=png"
    return {
        "X-Seed": {"description": "The seed of the images", "schema": {"type": "integer", "example": 7}},
        **caching.documented_headers(etag=etag, content_location=location),
    }


def _parameters(query: Annotated[SamplesQuery, Query()], if_none_match: caching.IfNoneMatch = None) -> None:
    """Declares the parameters that `SampleRequests.parse` reads from a GET, for the OpenAPI document."""


_SENT: dict[str, object] = {
    "description": "The samples, in the requested format",
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
        304: {"description": "Not modified: If-None-Match contains the ETag"},
        **problem_examples.of_drawing(SAMPLES_FORMATS, "n", "0"),
    },
    openapi_extra={"parameters": parameters_of(_parameters)},
)
async def get_samples(request: Request, state: SharedState) -> Response:
    """Draws the images `first … first + n − 1` of a seed: as a PNG grid, as JSON with their latents, as npz or as ZIP.

    Image i of a seed is always the same image: neither `n` nor the requests of other clients change it. The header
    `Content-Location` has the URL that always gives this answer again.

    ![Images 0 to 15 of seed 7: v1/samples?n=16&seed=7&columns=8 of a running service](v1/samples?n=16&seed=7&columns=8)
    """
    job = state.sample_requests.parse(request.scope)
    if job.is_known(read_head(request.scope).if_none_match):
        return WholeResponse(b"", job.headers(), status_code=304)
    return await _answer(request, state, job)


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
async def post_samples(request: Request, state: SharedState, body: SamplesBody) -> Response:
    """Does the same as `GET`, with the parameters in a JSON body. `latents` may take the place of the seed.

    A latent from an earlier JSON answer gives the identical image.
    """
    return await _answer(request, state, state.sample_requests.parse(request.scope, body))


async def _answer(request: Request, state: State, job: SampleJob) -> Response:
    """Answer a job, unless its client disconnects first."""
    form, n = job.plan.form, job.plan.n
    if is_head(request.scope):
        return HeadResponse(_archive_headers(job) if form in ("npz", "zip") else job.headers(), SAMPLES_FORMATS[form])
    with Watch(request.receive):
        state.check_room(n if form in ("png", "json") else 1)  # an archive needs room to begin; its chunks may wait
        if form in ("npz", "zip"):
            return _archive(state, job)
        return WholeResponse(await _body(state, job), job.headers(), media_type=SAMPLES_FORMATS[form])


async def _body(state: State, job: SampleJob) -> bytes:
    """Draw and encode the body of a PNG or JSON answer. A large one is encoded in a thread."""
    rows = job.rows()
    images = await state.draw(job.plan.served, rows, network=job.network)
    started = time.perf_counter()
    body = job.encode(rows, images) if job.plan.is_inline else await asyncio.to_thread(job.encode, rows, images)
    state.metrics.count_encoding(job.plan.form, started=started)
    return body


def _archive(state: State, job: SampleJob) -> Response:
    plan, samples = job.plan, _contents(job)

    async def images() -> AsyncIterator[NDArray[np.uint8]]:
        for _, latents in samples.chunks():
            yield await state.draw(plan.served, latents, may_wait=True)

    stream = stream_npz(samples, images()) if plan.form == "npz" else stream_zip(samples, images())
    return StreamingResponse(stream, headers=_archive_headers(job), media_type=SAMPLES_FORMATS[plan.form])


def _contents(job: SampleJob) -> ArchiveContents:
    metadata = job.plan.served.model.metadata
    return ArchiveContents(job.plan.first, job.plan.n, job.latents, metadata.image_shape.array, metadata.z_dim)


def _archive_headers(job: SampleJob) -> dict[str, str]:
    """Return the headers of an archive: known before G runs, and for an npz its length, too."""
    plan, headers = job.plan, job.headers()
    if plan.form == "npz":
        headers["content-length"] = str(npz_bytes(_contents(job)))
    model = plan.served.model
    source = "latents" if job.seed is None else f"seed{job.seed}"
    if plan.label is not None:
        source += f"-digit{plan.label}" if "digit" in class_in_url(model, plan.label) else f"-class{plan.label}"
    name = f"{model.name}-{source}-{plan.first}-{plan.n}.{plan.form}"
    return headers | {"content-disposition": f'attachment; filename="{name}"'}
