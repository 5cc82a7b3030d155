"""The example problems of the OpenAPI document, made by the functions that make the service's problems."""

from collections.abc import Mapping

from app.api import content_negotiation, content_types, forms, state
from app.api.openapi import examples
from app.inference import catalog
from app.media import uploads
from app.middleware import body_limit
from app.problems import Problem, documented
from app.settings import Settings

BUNDLED = (
    "fashion",
    examples.MODEL,
    "mnist-goodfellow2014",
    "mnist-goodfellow2014-labels",
    "mnist-mlp",
    "mnist-writeup",
)

_DEFAULTS = {name: field.default for name, field in Settings.model_fields.items()}


def of_drawing(
    offered: Mapping[content_negotiation.Format, str], parameter: str, value: object
) -> dict[int | str, dict[str, object]]:
    """Return the `responses` of a route that draws images.

    Args:
        offered: the media types of the answer, by format.
        parameter: a parameter that must be at least 1.
        value: a wrong value for this parameter: below 1, and of the type that the route receives.
    """
    return documented(
        _unknown_model("model"),
        content_negotiation.not_acceptable("text/html", offered),
        Problem.of_parameter(parameter, "Input should be greater than or equal to 1", value),
        state.overloaded("images", state.RETRY_AFTER_S),
        catalog.no_usable_model(),
    )


def of_body() -> dict[int | str, dict[str, object]]:
    """Return the `responses` of a route that takes JSON, in addition to those of its other parameters."""
    return documented(
        body_limit.body_too_large(_DEFAULTS["max_body_bytes"]),
        content_types.wrong_content_type("application/x-www-form-urlencoded", "application/json"),
    )


def of_upload(field: str, max_files: int, what: str, retry_after_s: int) -> dict[int | str, dict[str, object]]:
    """Return the `responses` of a route that takes uploaded images.

    Args:
        field: the field of the form that holds the files.
        max_files: the largest number of files in the field.
        what: name of the things that wait when the service is overloaded, in the plural, such as "images".
        retry_after_s: seconds after which the client may try again.
    """
    return documented(
        _unknown_model("model"),
        uploads.too_many_pixels(field, "photo.jpg", (9000, 6000), max_pixels=_DEFAULTS["max_file_pixels"]),
        uploads.not_an_image(field, "notes.txt"),
        forms.no_file(field, max_files),
        state.overloaded(what, retry_after_s),
        catalog.no_usable_model(),
    )


def of_model() -> dict[int | str, dict[str, object]]:
    """Return the `responses` of a route with a model's name in its path."""
    long_name = examples.MODEL * 11
    return documented(
        _unknown_model("name"),
        Problem.of_parameter("name", "String should have at most 100 characters", long_name),
        catalog.no_usable_model(),
    )


def _unknown_model(parameter: str) -> Problem:
    return catalog.no_such_model(parameter, "cat", BUNDLED, "cat")
