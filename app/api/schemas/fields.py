"""Limits and fields that several calls share."""

import re
from typing import Annotated

from pydantic import BeforeValidator, Field

from app.api.openapi import examples
from models.class_names import MAX_CLASS_NAME

MAX_GRID_IMAGES = 4096
"""The most images in one PNG or in one JSON answer."""

MAX_SCALE = 16
"""The largest factor by which a picture is enlarged."""

MAX_PADDING = 64
"""The most pixels of padding around each image of a grid."""

_SWITCH = {"true": True, "1": True, "false": False, "0": False}


def read_switch(value: object) -> object:
    """Return the boolean of a text: `true`, `false`, `1` or `0` in any case. A value that is no text stays as it is.

    Raises:
        ValueError: the text is another one.
    """
    if not isinstance(value, str):
        return value
    if value.lower() not in _SWITCH:
        raise ValueError(f"must be true or false, not {value[:80]!r}")
    return _SWITCH[value.lower()]


Switch = Annotated[bool, BeforeValidator(read_switch)]
"""The type of a boolean parameter, which every route parses with `read_switch`."""

EXACT_FLOAT_LIMIT = 10**15
"""A float has 15 significant digits. From here on an integral one may be a fraction that was rounded."""

_INTEGER = re.compile(r"-?[0-9]+")
_NUMBER = re.compile(r"-?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")


def read_integer(value: object) -> object:
    """Pass on an integer, or a text of decimal digits, perhaps with a minus sign.

    In JSON `4.0` is an integer, too (JSON Schema), as long as it certainly is the number that was written.

    Raises:
        ValueError: it is another value. pydantic alone would take `1_0`, ` 1`, `+1`, `1.0` and large rounded numbers.
    """
    is_exact = not isinstance(value, float) or (value.is_integer() and abs(value) < EXACT_FLOAT_LIMIT)
    if not is_exact or (isinstance(value, str) and not _INTEGER.fullmatch(value)):
        raise ValueError(f"must be an integer in decimal digits, not {_shown(value)}")
    return value


def read_number(value: object) -> object:
    """Pass on a number, or a text of decimal digits, perhaps with a minus sign, a point and an exponent.

    Raises:
        ValueError: it is another text: pydantic alone would take `0_1`, ` 1`, `+1` and `inf`.
    """
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        raise ValueError(f"must be a number in decimal digits, not {_shown(value)}")
    return value


def _shown(value: object) -> str:
    return repr(value[:80] if isinstance(value, str) else value)


ModelName = Annotated[
    str | None,
    Field(
        max_length=100,
        description="The model, as `name` or `name@hash`. Default: the default model of the service",
        examples=[None, examples.MODEL],
    ),
]
Digit = Annotated[
    int | None,
    Field(
        ge=0,
        le=9,
        description="The digit to draw, for conditional models only: the number of a class, which must be less than "
        "`classes` in the metadata that `/v1/models/{name}` gives. `class` names any class",
        examples=[None, 3],
    ),
]
NamedClass = Annotated[
    Annotated[str, Field(min_length=1, max_length=MAX_CLASS_NAME)] | int | None,
    Field(
        alias="class",
        description="The class to draw, for conditional models only: its name, one of `class_names` in the metadata "
        "that `/v1/models/{name}` gives, or its number. A text that is both is the name",
        examples=[None, "3"],
    ),
]
Sha256 = Annotated[
    str, Field(description="SHA-256 of the model's file `model.safetensors`", examples=[examples.SHA256])
]
Reference = Annotated[
    str, Field(description="The model and its version, as `name@hash`", examples=[examples.REFERENCE])
]
PriorName = Annotated[str, Field(description="Distribution of a latent's coordinates", examples=["normal"])]
ZDim = Annotated[int, Field(description="Number of coordinates of a latent", examples=[64])]
Width = Annotated[int, Field(description="Width of an image, in pixels", examples=[28])]
Height = Annotated[int, Field(description="Height of an image, in pixels", examples=[28])]
Channels = Annotated[int, Field(description="Channels of an image: 1 (grey) or 3 (RGB)", examples=[1])]
