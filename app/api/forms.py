"""Reads forms with files, for the routes that take uploads."""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Annotated, TypeAlias

import numpy as np
from fastapi import Query, Request
from numpy.typing import NDArray
from pydantic import WithJsonSchema
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException

from app.api.content_types import check_content_type
from app.api.openapi import examples
from app.api.schemas.fields import read_switch
from app.api.state import State, soon
from app.api.strict_route import Given, check_names
from app.inference.catalog import ServedModel
from app.media.uploads import Preprocess, check_sizes, read_upload
from app.problems import Problem

_log = logging.getLogger(__name__)

MAX_FIELDS = 8
MAX_NAME_CHARACTERS = 200

_PREPROCESS: tuple[Preprocess, ...] = ("auto", "none")

ModelParameter: TypeAlias = Annotated[
    str | None,
    Query(
        max_length=100,
        description="The model, as `name` or `name@hash`. Default: the default model of the service",
        examples=[None, examples.MODEL],
    ),
]
PreprocessParameter: TypeAlias = Annotated[
    str | None,
    WithJsonSchema({"type": "string", "enum": list(_PREPROCESS), "examples": ["auto"]}),
    Query(
        description="`auto` (default) makes an MNIST-like digit of a photo or drawing of any size. `none` takes an "
        "image that already has the size of the model's images, such as 28 × 28, as it is"
    ),
]
ExplainParameter: TypeAlias = Annotated[
    str | None,
    WithJsonSchema({"type": "boolean", "examples": [True]}),
    Query(
        description="`true` adds an `explanation` to each result: a picture of the pixels on which D's score depends. "
        "`false` (default) leaves it null"
    ),
]


@asynccontextmanager
async def read_form(request: Request, *, field: str, max_files: int, texts: Collection[str]) -> AsyncIterator[FormData]:
    """Parse the form of a request, and close its files when the context ends.

    Args:
        request: the request.
        field: name of the field that holds the files.
        max_files: the largest number of files that is accepted.
        texts: names of the other fields, each of which holds one text.

    Raises:
        Problem: 415 if the body is no form with files; 422, naming `field`, if the parser refuses the form; 503 if the
            temporary folder has no room for it.
        RequestValidationError: the form has a field with any other name, or a text twice.
    """
    check_content_type(request, "multipart/form-data")
    try:
        form = await request.form(max_files=max_files, max_fields=MAX_FIELDS)
    except HTTPException as error:
        if isinstance(error, Problem):
            raise
        raise Problem.of_parameter(field, f"{error.detail} {_wanted(field, max_files)}") from error
    except OSError as error:
        _log.error("an upload cannot be kept in the temporary folder: %s; make room there, or set TMPDIR", error)
        raise Problem(503, "the service has no room for an upload now; try again", headers=soon()) from error
    try:
        given: Given = {}
        for name, value in form.multi_items():
            given.setdefault(name, []).append("(file)" if isinstance(value, UploadFile) else value)
        check_names(given, {field, *texts}, place="body", lists=[field])
        yield form
    finally:
        await form.close()


def files_of(form: FormData, *, field: str, max_files: int) -> list[UploadFile]:
    """Return the files of one field.

    Args:
        form: the form, which `read_form` has parsed; it has refused more than `max_files` files.
        field: name of the field.
        max_files: the largest number of files, for the error message.

    Raises:
        Problem: 422 if there is no file, or if a value is not a file.
    """
    values = form.getlist(field)
    files = [value for value in values if isinstance(value, UploadFile)]
    if not files or len(files) != len(values):
        raise no_file(field, max_files)
    return files


def no_file(field: str, max_files: int) -> Problem:
    """Return the problem (422) of a form whose field has no file, or a value that is not a file."""
    return Problem.of_parameter(field, f"there is no file, or a value that is not a file. {_wanted(field, max_files)}")


def text_of(form: FormData, name: str) -> str | None:
    """Return the text of a field; None if the form does not have the field.

    Raises:
        Problem: 422 if the field is a file.
    """
    value = form.get(name)
    if isinstance(value, UploadFile):
        raise Problem.of_parameter(name, "the value must be text, not a file")
    return value


def preprocess_of(form: FormData, parameter: str | None) -> Preprocess:
    """Return how to prepare the files.

    The query parameter decides. Without it the form's field decides, and without both it is "auto".

    Raises:
        Problem: 422 for any other value.
    """
    text = text_of(form, "preprocess") if parameter is None else parameter
    if text is None:
        return "auto"
    for known in _PREPROCESS:
        if text == known:
            return known
    raise Problem.of_parameter("preprocess", f"must be {' or '.join(_PREPROCESS)}, not {text[:80]!r}", text)


def explain_of(form: FormData, parameter: str | None) -> bool:
    """Return whether the client asks for explanations of the scores.

    The query parameter decides. Without it the form's field decides, and without both the result is False.

    Raises:
        Problem: 422 for a value that is not true or false.
    """
    text = text_of(form, "explain") if parameter is None else parameter
    if text is None:
        return False
    try:
        return bool(read_switch(text))
    except ValueError as error:
        raise Problem.of_parameter("explain", str(error), text) from error


async def read_images(
    state: State, served: ServedModel, preprocess: Preprocess, names: list[str], files: list[UploadFile], *, field: str
) -> NDArray[np.uint8]:
    """Read uploads as images of the model's shape: [n, H, W] or [n, H, W, 3] uint8.

    Raises:
        Problem: 413, 415 or 422, naming the first file that is refused; 429 if too many pixels wait to be decoded.
    """
    shape = served.model.metadata.image_shape
    limit = state.settings.max_file_pixels
    shown = [name[:MAX_NAME_CHARACTERS] for name in names]
    uploads = [file.file for file in files]

    def read() -> NDArray[np.uint8]:
        return np.stack(
            [
                read_upload(
                    upload.read(), filename=name, shape=shape, preprocess=preprocess, max_pixels=limit, field=field
                )
                for upload, name in zip(uploads, shown, strict=True)
            ]
        )

    pixels = await asyncio.to_thread(
        check_sizes, uploads, shown, preprocess=preprocess, shape=shape, max_pixels=limit, field=field
    )
    async with state.decode(pixels):
        return await asyncio.to_thread(read)


def described_form(field: str, schema: dict[str, object]) -> dict[str, object]:
    """Return the `openapi_extra` of a route that takes a form with files in one field."""
    form = {"type": "object", "required": [field], "properties": {field: schema}}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": form}}}}


def _wanted(field: str, max_files: int) -> str:
    files = "one image" if max_files == 1 else f"1 to {max_files} files"
    return f"Send {files} as multipart/form-data, field `{field}`"
