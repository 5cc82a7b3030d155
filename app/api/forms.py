"""Reads forms with files, for the routes that take uploads."""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection
from contextlib import aclosing, asynccontextmanager
from typing import Annotated, TypeAlias

from fastapi import Query, Request
from pydantic import WithJsonSchema
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from app.api.content_types import check_content_type
from app.api.openapi import examples
from app.api.schemas.fields import read_switch
from app.api.state import State, soon
from app.api.strict_route import Given, check_names
from app.inference.catalog import ServedModel
from app.media.uploads import Prepared, Preprocess, check_sizes, read_upload
from app.problems import Problem, is_out_of_files

_log = logging.getLogger(__name__)

MAX_FIELDS = 8
MAX_NAME_CHARACTERS = 200

MAX_RESULTS = 256
"""The most images in one request: with `split=true`, a file may show several."""

MAX_RESULTS_WITH_STEPS = 16
"""The most images in one request for the stages of the preparation, which have up to a megabyte for each image."""

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
        description="`auto` (default) takes a picture of any size. For a model of digits it makes an MNIST-like digit "
        "of a photo or drawing; for a model of other pictures it takes the middle square. `none` takes an image that "
        "already has the size of the model's images, such as 28 × 28, as it is"
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
SplitParameter: TypeAlias = Annotated[
    str | None,
    WithJsonSchema({"type": "boolean", "examples": [False, True]}),
    Query(
        description="`true` gives a result for each digit of a picture, in reading order, and at most "
        f"{MAX_RESULTS} in one answer. `false` (default) expects one digit in each picture"
    ),
]
StepsParameter: TypeAlias = Annotated[
    str | None,
    WithJsonSchema({"type": "boolean", "examples": [False, True]}),
    Query(
        description="`true` adds `steps` to each result: the stages of the preparation, as pictures with words. The "
        f"answer may then have at most {MAX_RESULTS_WITH_STEPS} results. `false` (default) leaves it null"
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
        Problem: 415 if the body is no form with files; 422, naming `field`, if the form is not valid or not complete;
            503 if the temporary folder has no room for it.
        RequestValidationError: the form has a field with any other name, or a text twice.
    """
    check_content_type(request, "multipart/form-data")
    try:
        async with aclosing(request.stream()) as stream:
            form = await _Parser(request.headers, stream, max_files=max_files, max_fields=MAX_FIELDS).parse()
    except MultiPartException as error:
        raise Problem.of_parameter(field, f"{error.message} {_wanted(field, max_files)}") from error
    except OSError as error:
        if is_out_of_files(error):
            raise
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


class _Parser(MultiPartParser):
    """Starlette's parser of forms, which also refuses a form that ends early.

    The parser knows the end of a part by the boundary after it. It drops a part without one, and says nothing.
    """

    _has_ended = False

    def on_end(self) -> None:
        """Handle the closing boundary."""
        self._has_ended = True

    async def parse(self) -> FormData:
        """Return the form. A request without a body and a Content-Type has an empty one.

        Raises:
            MultiPartException: the form is not valid, or has no closing boundary.
        """
        if "content-type" not in self.headers:  # there is no body (`check_content_type`)
            return FormData()
        form = await super().parse()
        if not self._has_ended:
            await form.close()
            for file in self._files_to_close_on_error:
                file.close()
            raise MultiPartException("The form is not complete: its closing boundary is missing.")
        return form


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


def switch_of(form: FormData, name: str, parameter: str | None) -> bool:
    """Return whether a boolean parameter is true.

    The query parameter decides. Without it the form's field decides, and without both the result is False.

    Args:
        form: the form.
        name: name of the parameter, and of the form's field.
        parameter: the value in the query; None if it is not given.

    Raises:
        Problem: 422 for a value that is not true or false.
    """
    text = text_of(form, name) if parameter is None else parameter
    if text is None:
        return False
    try:
        return bool(read_switch(text))
    except ValueError as error:
        raise Problem.of_parameter(name, str(error), text) from error


async def read_images(
    state: State,
    served: ServedModel,
    files: list[UploadFile],
    *,
    field: str,
    preprocess: Preprocess,
    split: bool = False,
    steps: bool = False,
) -> list[Prepared]:
    """Read uploads, and prepare them for the model's D.

    Args:
        state: the shared objects of the service.
        served: the model.
        files: the files, in the order of the result.
        field: the form's field that held the files, for errors.
        preprocess: the preparation of the images.
        split: whether each digit of a picture becomes an image of its own.
        steps: whether the result has the stages of the preparation.

    Returns:
        One image for each file; with `split` one for each digit. A file without a digit has one without pixels.

    Raises:
        Problem: 413, 415 or 422, naming the first file that is refused; 422 if there are more than `MAX_RESULTS` images
            or `MAX_RESULTS_WITH_STEPS`; 429 if too many pixels wait to be decoded.
    """
    shape = served.model.metadata.image_shape
    limit = state.settings.max_file_pixels
    names = [(file.filename or f"file {place}")[:MAX_NAME_CHARACTERS] for place, file in enumerate(files, start=1)]
    uploads = [file.file for file in files]

    def read() -> list[Prepared]:
        images: list[Prepared] = []
        for upload, name in zip(uploads, names, strict=True):
            images += read_upload(
                upload.read(),
                filename=name,
                shape=shape,
                preprocess=preprocess,
                max_pixels=limit,
                digits=served.model.metadata.draws_digits,
                field=field,
                split=split,
                steps=steps,
            )
            _check_results(len(images), field=field, steps=steps)
        return images

    _check_results(len(files), field=field, steps=steps)
    pixels = await asyncio.to_thread(
        check_sizes, uploads, names, preprocess=preprocess, shape=shape, max_pixels=limit, field=field
    )
    async with state.decode(pixels):
        return await asyncio.to_thread(read)


def _check_results(results: int, *, field: str, steps: bool) -> None:
    most, asked = (MAX_RESULTS_WITH_STEPS, " with steps=true") if steps else (MAX_RESULTS, "")
    if results > most:
        detail = f"the files give more than {most} results, the most in one answer{asked}; send fewer files at once"
        raise Problem.of_parameter(field, detail)


def described_form(field: str, schema: dict[str, object]) -> dict[str, object]:
    """Return the `openapi_extra` of a route that takes a form with files in one field."""
    form = {"type": "object", "required": [field], "properties": {field: schema}}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": form}}}}


def _wanted(field: str, max_files: int) -> str:
    files = "one image" if max_files == 1 else f"1 to {max_files} files"
    return f"Send {files} as multipart/form-data, field `{field}`"
