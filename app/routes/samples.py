"""`/v1/samples`: images of a seed, or of posted latents."""

import secrets
import time
from collections.abc import AsyncIterator
from typing import Annotated, NamedTuple

import numpy as np
from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from numpy.typing import NDArray

from app import examples, links, permalinks, problem_examples
from app.archives import Samples, stream_npz, stream_zip
from app.catalog import ServedModel
from app.departures import Watch
from app.digits import ask_for_digit, check_digit
from app.formats import SAMPLES_FORMATS, SamplesFormat, choose_format, document_content
from app.limits import check_pixels, count_pixels
from app.listing import list_samples_aside
from app.png import INLINE_PIXELS, encode_png, encode_png_aside
from app.problems import Problem
from app.responses import WholeResponse
from app.schemas import MAX_GRID_IMAGES, SamplesAnswer, SamplesBody, SamplesQuery
from app.state import SharedState, State
from models.grids import assemble_grid, default_columns
from models.latents import SEED_LIMIT, check_latents, draw_latents, draw_words

router = APIRouter(tags=["samples"])


def _documented_headers(grid: str, *, etag: str | None = None) -> dict[str, dict[str, object]]:
    location = f"/v1/samples?model={examples.REFERENCE}&seed=7&first=0&{grid}&padding=2&scale=1&format=png"
    return {
        "X-Seed": {"description": "The seed, drawn or given", "schema": {"type": "integer", "example": 7}},
        **permalinks.documented_headers(etag=etag, content_location=location),
    }


_SENT: dict[str, object] = {
    "description": "The samples, in the format asked for",
    "content": document_content(SAMPLES_FORMATS, json_schema="SamplesAnswer"),
    "links": links.of_samples(),
}


class Job(NamedTuple):
    """A checked request: a model, a format, where the latents come from, and the grid."""

    served: ServedModel
    form: SamplesFormat
    asked: SamplesQuery
    seed: int | None
    posted: NDArray[np.float32] | None
    first: int
    n: int
    columns: int
    padding: int

    def latents(self, start: int, count: int) -> NDArray[np.float32]:
        """[count, z_dim] float32, from the `start`-th sample of the job on: those that G gets."""
        if self.posted is not None:
            return self.posted[start : start + count]
        metadata = self.served.model.metadata
        latents = draw_latents(
            self.seed or 0,
            self.first + start,
            count,
            z_dim=metadata.z_dim,
            prior=metadata.prior,
            truncation=self.asked.truncation,
        )
        return ask_for_digit(latents, self.served.model, self.asked.digit)

    def words(self) -> NDArray[np.uint64] | None:
        """[n, z_dim]: what the latents are made of, if nothing happens to them on their way to G.

        The engine then makes those of a whole batch at once.
        """
        if self.seed is None or self.asked.truncation != 1 or self.asked.digit is not None:
            return None
        return draw_words(self.seed, self.first, self.n, z_dim=self.served.model.metadata.z_dim)

    async def images(self, state: State) -> NDArray[np.uint8]:
        """All images of the job, [n, H, W] or [n, H, W, 3]."""
        if (words := self.words()) is not None:
            return await state.draw_words(self.served, words)
        return await state.draw(self.served, self.latents(0, self.n))

    def assemble(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """All images of the job as one picture."""
        return assemble_grid(images, columns=self.columns, padding=self.padding, scale=self.asked.scale)

    @property
    def is_small_picture(self) -> bool:
        """Whether the answer is a PNG that is encoded without a thread."""
        shape = self.served.model.metadata.image_shape
        pixels = count_pixels(shape, self.n, columns=self.columns, padding=self.padding, scale=self.asked.scale)
        return self.form == "png" and pixels * shape.channels <= INLINE_PIXELS


@router.get(
    "/v1/samples",
    summary="Images of a seed",
    response_class=Response,
    responses={
        200: {
            **_SENT,
            "headers": _documented_headers("n=64&columns=8", etag='"66234f1bfe8c97dd42ac0e2b91d8e766"'),
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
    if_none_match: permalinks.IfNoneMatch = None,
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
    job, headers = prepare(state, query, root_path=root_path, accept=accept)
    if permalinks.matches(if_none_match, headers["ETag"]):
        return unmodified(headers)
    return await _respond(state, job, headers)


def prepare(state: State, query: SamplesQuery, *, root_path: str, accept: str | None) -> tuple[Job, dict[str, str]]:
    """What a checked `GET /v1/samples` asks for, and the headers of its answer, which are known before G runs.

    Raises:
        Problem: it cannot be had.
    """
    job = _checked(state, query, accept, posted=None)
    return job, _headers(root_path, job, public=True)


def unmodified(headers: dict[str, str]) -> WholeResponse:
    """The answer to a client that has it already."""
    return WholeResponse(b"", headers, status_code=304)


def picture(state: State, job: Job, images: NDArray[np.uint8], headers: dict[str, str]) -> WholeResponse:
    """The answer with the images of a job as a picture, encoded at once."""
    started = time.perf_counter()
    png = encode_png(job.assemble(images))
    state.metrics.count_encoding("png", started=started)
    return WholeResponse(png, headers, media_type=SAMPLES_FORMATS["png"])


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
    job = _checked(state, body, accept, posted=posted)
    with Watch(request.receive):
        return await _respond(state, job, _headers(request.scope.get("root_path", ""), job, public=False))


def _checked(state: State, asked: SamplesQuery, accept: str | None, *, posted: NDArray[np.float32] | None) -> Job:
    served = state.catalog.find(asked.model)
    check_digit(served.model, asked.digit)
    form = choose_format(asked.format, accept, SAMPLES_FORMATS)
    if posted is None:
        seed = asked.seed if asked.seed is not None else secrets.randbelow(SEED_LIMIT)
        first, n = asked.first, asked.n
    else:
        seed, first, n = None, 0, len(posted)
    if form in ("png", "json") and n > MAX_GRID_IMAGES:
        detail = f"{form} takes at most {MAX_GRID_IMAGES:,} images; format=npz and format=zip take more"
        raise Problem.of_parameter("n", detail, n)
    columns = min(asked.columns or default_columns(n), n)
    # A lone image has no neighbours to be kept apart from, unless padding was asked for.
    padding = asked.padding if n > 1 or "padding" in asked.model_fields_set else 0
    if form == "png":
        shape = served.model.metadata.image_shape
        check_pixels(shape, n, columns=columns, padding=padding, scale=asked.scale, fewer="n")
    return Job(served, form, asked, seed, posted, first, n, columns, padding)


def _headers(root_path: str, job: Job, *, public: bool) -> dict[str, str]:
    """Headers of the answer, known before G runs."""
    model, asked = job.served.model, job.asked
    headers = {"X-Model": model.reference, "Cache-Control": permalinks.NO_STORE}
    if asked.format is None:
        headers["Vary"] = "Accept"
    if job.posted is not None:
        return headers
    parameters: dict[str, object] = {"seed": job.seed, "first": job.first, "n": job.n, "digit": asked.digit}
    if job.form == "png":
        parameters |= {"columns": job.columns, "padding": job.padding, "scale": asked.scale}
    if asked.truncation != 1:
        parameters["truncation"] = asked.truncation
    query = permalinks.permanent_query(model, parameters, job.form)
    headers["X-Seed"] = str(job.seed)
    headers["Content-Location"] = f"{root_path}/v1/samples?{query}"
    if public:
        headers["ETag"] = permalinks.entity_tag(model, query)
        headers["Cache-Control"] = permalinks.cache_control(
            seed_given=asked.seed is not None, version_given="@" in (asked.model or "")
        )
    return headers


async def _respond(state: State, job: Job, headers: dict[str, str]) -> Response:
    if job.form == "png":
        return WholeResponse(await _grid(state, job), headers, media_type=SAMPLES_FORMATS["png"])
    if job.form == "json":
        return WholeResponse(await _json(state, job), headers, media_type=SAMPLES_FORMATS["json"])
    return await _archive(state, job, headers)


async def _grid(state: State, job: Job) -> bytes:
    images = await job.images(state)
    started = time.perf_counter()
    png = await encode_png_aside(job.assemble(images))
    state.metrics.count_encoding("png", started=started)
    return png


async def _json(state: State, job: Job) -> bytes:
    latents = job.latents(0, job.n)
    images = await state.draw(job.served, latents)
    started = time.perf_counter()
    model, shape = job.served.model, job.served.model.metadata.image_shape
    answer = SamplesAnswer(
        model=model.reference,
        model_sha256=model.sha256,
        seed=job.seed,
        first=job.first,
        prior=model.metadata.prior,
        z_dim=model.metadata.z_dim,
        width=shape.width,
        height=shape.height,
        channels=shape.channels,
        samples=await list_samples_aside(latents, images, first=job.first),
    )
    encoded = answer.model_dump_json().encode()
    state.metrics.count_encoding("json", started=started)
    return encoded


async def _archive(state: State, job: Job, headers: dict[str, str]) -> Response:
    state.check_room()
    metadata = job.served.model.metadata
    samples = Samples(job.first, job.n, job.latents, metadata.image_shape.array, metadata.z_dim)

    async def images() -> AsyncIterator[NDArray[np.uint8]]:
        for _, latents in samples.chunks():
            yield await state.draw(job.served, latents, may_wait=True)

    stream = stream_npz(samples, images()) if job.form == "npz" else stream_zip(samples, images())
    source = "latents" if job.seed is None else f"seed{job.seed}"
    if job.asked.digit is not None:
        source += f"-digit{job.asked.digit}"
    name = f"{job.served.model.name}-{source}-{job.first}-{job.n}.{job.form}"
    headers = headers | {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(stream, headers=headers, media_type=SAMPLES_FORMATS[job.form])
