"""`/v1/interpolations`: the images on a path from seed to seed."""

import time
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Header, Query, Request, Response
from numpy.typing import NDArray

from app.api import caching
from app.api.class_parameter import class_in_url, label_of
from app.api.content_negotiation import INTERPOLATION_FORMATS, InterpolationFormat, choose_format, document_content
from app.api.openapi import examples, links, problem_examples
from app.api.picture_limits import check_pixels
from app.api.sample_listing import list_samples_aside
from app.api.schemas.interpolations import MAX_ANIMATION_MS, InterpolationAnswer, InterpolationQuery
from app.api.state import SharedState, State
from app.api.strict_route import StrictRoute
from app.api.whole_response import HeadResponse
from app.inference.catalog import ServedModel
from app.media.animations import encode_animation_aside
from app.media.png import encode_png_aside
from app.middleware.disconnects import Watch
from app.middleware.head_requests import is_head
from app.problems import Problem
from models.grids import assemble_grid
from models.interpolation import Mode, default_mode, interpolate

router = APIRouter(tags=["samples"], route_class=StrictRoute)


@dataclass(frozen=True)
class _Path:
    """A validated request for the images on a path."""

    served: ServedModel
    form: InterpolationFormat
    asked: InterpolationQuery
    label: int | None

    @property
    def mode(self) -> Mode:
        return self.asked.mode or default_mode(self.served.model.metadata.prior)

    @property
    def columns(self) -> int:
        return min(self.asked.columns or self.asked.n, self.asked.n)

    def latents(self) -> NDArray[np.float32]:
        """Return the latents of the path, [n, z_dim] float32."""
        model, asked = self.served.model, self.asked
        ends = np.concatenate([model.draw_latents(seed, 0, 1, label=self.label) for seed in asked.seed_list])
        return interpolate(ends, steps=asked.steps, mode=self.mode, prior=model.metadata.prior, loop=asked.loop)


@router.get(
    "/v1/interpolations",
    summary="The images on a path from seed to seed",
    response_class=Response,
    responses={
        200: {
            "description": "The path, in the requested format",
            "content": document_content(INTERPOLATION_FORMATS, json_schema="InterpolationAnswer"),
            "headers": caching.documented_headers(
                etag='"7dc8f9e37a7735db322832cc9ccf683e"',
                content_location=f"/v1/interpolations?model={examples.REFERENCE}&seeds=7,8,9&steps=16&mode=slerp"
                "&columns=33&padding=2&scale=1&format=png",
            ),
            "links": links.of_drawing(),
        },
        304: {"description": "Not modified: If-None-Match contains the ETag"},
        **problem_examples.of_drawing(INTERPOLATION_FORMATS, "steps", "0"),
    },
)
async def get_interpolation(
    request: Request,
    state: SharedState,
    query: Annotated[InterpolationQuery, Query()],
    accept: Annotated[str | None, Header(include_in_schema=False)] = None,
    if_none_match: caching.IfNoneMatch = None,
) -> Response:
    """Draws the images on a path from seed to seed: as a PNG strip, as an animation, or as JSON with their latents.

    The path goes through image 0 of each seed, the same image that `/v1/samples` gives. With `class` or `digit` all
    images show that class; without it, the class of a conditional model changes on the way. The header
    `Content-Location` has the URL that always gives this answer again.

    ![From seed 7 to seed 8 in 16 steps: v1/interpolations?seeds=7,8&steps=16&format=png of a running
    service](v1/interpolations?seeds=7,8&steps=16&format=png)
    """
    path = _checked(state, query, accept)
    headers = _headers(request, path)
    if caching.matches(if_none_match, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    if is_head(request.scope):
        return HeadResponse(headers, INTERPOLATION_FORMATS[path.form])
    with Watch(request.receive):
        content = await _draw(state, path)
    return Response(content, headers=headers, media_type=INTERPOLATION_FORMATS[path.form])


def _checked(state: State, asked: InterpolationQuery, accept: str | None) -> _Path:
    served = state.catalog.find(asked.model)
    label = label_of(served.model, digit=asked.digit, named=asked.class_)
    path = _Path(served, choose_format(asked.format, accept, INTERPOLATION_FORMATS), asked, label)
    shape = served.model.metadata.image_shape
    if path.form == "png":
        check_pixels(shape, asked.n, columns=path.columns, padding=asked.padding, scale=asked.scale, fewer="steps")
    elif path.form == "json":
        check_pixels(shape, asked.n, scale=1, fewer="steps")
    else:
        check_pixels(shape, asked.n, scale=asked.scale, fewer="steps")
        _check_duration(asked)
    return path


def _check_duration(asked: InterpolationQuery) -> None:
    whole_ms = asked.n * asked.duration_ms
    if whole_ms > MAX_ANIMATION_MS:
        most = f"at most {MAX_ANIMATION_MS:,} ms are allowed"
        detail = f"the animation would last {whole_ms:,} ms, and {most}; lower duration_ms or steps"
        raise Problem.of_parameter("duration_ms", detail, asked.duration_ms)


def _headers(request: Request, path: _Path) -> dict[str, str]:
    """Return the headers of the answer, which are known before G runs."""
    model, asked = path.served.model, path.asked
    parameters: dict[str, object] = {
        "seeds": asked.seeds,
        "steps": asked.steps,
        "mode": path.mode,
        "loop": "true" if asked.loop else None,
        **class_in_url(model, path.label),
    }
    if path.form == "png":
        parameters |= {"columns": path.columns, "padding": asked.padding, "scale": asked.scale}
    elif path.form != "json":
        parameters |= {"scale": asked.scale, "duration_ms": asked.duration_ms}
    query = caching.permanent_query(model, parameters, path.form)
    headers = {
        "X-Model": model.reference,
        "ETag": caching.entity_tag(model, query),
        "Content-Location": f"{request.scope.get('root_path', '')}/v1/interpolations?{query}",
        "Cache-Control": caching.cache_control(seed_given=True, version_given="@" in (asked.model or "")),
    }
    return headers if asked.format else headers | {"Vary": "Accept"}


async def _draw(state: State, path: _Path) -> bytes:
    latents = path.latents()
    images = await state.draw(path.served, latents)
    started = time.perf_counter()
    encoded = await _encode(path, latents, images)
    state.metrics.count_encoding(path.form, started=started)
    return encoded


async def _encode(path: _Path, latents: NDArray[np.float32], images: NDArray[np.uint8]) -> bytes:
    asked = path.asked
    if path.form == "png":
        return await encode_png_aside(
            assemble_grid(images, columns=path.columns, padding=asked.padding, scale=asked.scale)
        )
    if path.form == "json":
        return await _json(path, latents, images)
    return await encode_animation_aside(images, path.form, scale=asked.scale, duration_ms=asked.duration_ms)


async def _json(path: _Path, latents: NDArray[np.float32], images: NDArray[np.uint8]) -> bytes:
    model, shape = path.served.model, path.served.model.metadata.image_shape
    answer = InterpolationAnswer(
        model=model.reference,
        model_sha256=model.sha256,
        seeds=path.asked.seed_list,
        steps=path.asked.steps,
        mode=path.mode,
        prior=model.metadata.prior,
        z_dim=model.metadata.z_dim,
        width=shape.width,
        height=shape.height,
        channels=shape.channels,
        samples=await list_samples_aside(latents, images),
    )
    return answer.model_dump_json().encode()
