"""`/v1/score`: what D thinks of uploaded images."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query, Request
from numpy.typing import NDArray
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException

from app.catalog import ServedModel
from app.png import encode_base64_png
from app.problems import Problem, documented
from app.schemas import Percentiles, ScoreAnswer, ScoreResult
from app.state import SharedState, State
from app.uploads import Preprocess, read_upload

MAX_FILES = 64
_MAX_FIELDS = 8
_PREPROCESS: tuple[Preprocess, ...] = ("auto", "none")

router = APIRouter(tags=["score"])

_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["files"],
                    "properties": {
                        "files": {
                            "type": "array",
                            "minItems": 1,
                            "maxItems": MAX_FILES,
                            "items": {"type": "string", "format": "binary"},
                            "description": "PNG, JPEG, WebP, GIF or BMP, of any size and mode up to the limits",
                        }
                    },
                }
            }
        },
    }
}


@router.post(
    "/v1/score",
    summary="D's score of uploaded images",
    responses=documented(404, 413, 415, 422, 429, 503),
    openapi_extra=_BODY,
)
async def post_score(
    request: Request,
    state: SharedState,
    model: Annotated[
        str | None, Query(max_length=100, description="`name` or `name@hash`", examples=["mnist-mlp"])
    ] = None,
    preprocess: Annotated[
        str | None,
        Query(description="`auto` (default) makes an MNIST digit of a photo or drawing; `none` takes 28×28 as it is"),
    ] = None,
) -> ScoreAnswer:
    """D's logit of 1 to 64 images, its probability, and where it lies among real images and among G's own.

    `preprocess` and `model` may be fields of the form as well. `input` shows the picture that D saw.
    """
    async with _form(request) as form:
        served = state.catalog.find(model or _text(form, "model"))
        chosen = _preprocess(preprocess or _text(form, "preprocess") or "auto")
        files = _files(form)
        names = [file.filename or f"file {place}" for place, file in enumerate(files, start=1)]
        contents = [await file.read() for file in files]
    images = await asyncio.to_thread(_read_all, state, served, chosen, names, contents)
    logits = await state.score(served, images)
    return ScoreAnswer(
        model=served.model.reference,
        results=[_result(served, *row) for row in zip(names, images, logits.tolist(), strict=True)],
    )


@asynccontextmanager
async def _form(request: Request) -> AsyncIterator[FormData]:
    """The form of a request, its files closed at the end; what the parser refuses becomes a problem."""
    try:
        form = await request.form(max_files=MAX_FILES, max_fields=_MAX_FIELDS)
    except HTTPException as error:
        if isinstance(error, Problem):
            raise
        detail = f"{error.detail} Send 1 to {MAX_FILES} files as multipart/form-data"
        raise Problem.of_parameter("files", detail) from error
    try:
        yield form
    finally:
        await form.close()


def _files(form: FormData) -> list[UploadFile]:
    values = form.getlist("files")
    files = [value for value in values if isinstance(value, UploadFile)]
    if not files or len(files) != len(values):
        raise Problem.of_parameter("files", f"send 1 to {MAX_FILES} files as multipart/form-data, field `files`")
    return files


def _text(form: FormData, name: str) -> str | None:
    value = form.get(name)
    if isinstance(value, UploadFile):
        raise Problem.of_parameter(name, "must be text, not a file")
    return value


def _preprocess(text: str) -> Preprocess:
    for known in _PREPROCESS:
        if text == known:
            return known
    raise Problem.of_parameter("preprocess", f"must be {' or '.join(_PREPROCESS)}, not {text[:80]!r}", text)


def _read_all(
    state: State, served: ServedModel, preprocess: Preprocess, names: list[str], contents: list[bytes]
) -> NDArray[np.uint8]:
    shape = served.model.metadata.image_shape
    limit = state.settings.max_file_pixels
    return np.stack(
        [
            read_upload(content, filename=name[:200], shape=shape, preprocess=preprocess, max_pixels=limit)
            for name, content in zip(names, contents, strict=True)
        ]
    )


def _result(served: ServedModel, filename: str, image: NDArray[np.uint8], logit: float) -> ScoreResult:
    return ScoreResult(
        filename=filename,
        logit=logit,
        probability=float(1 / (1 + np.exp(-np.float64(logit)))),
        percentile=Percentiles(**served.model.metadata.calibration.percentiles(logit)),
        input=encode_base64_png(image),
    )
