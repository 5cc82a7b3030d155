"""Limits and fields that several calls share."""

from typing import Annotated

from pydantic import Field

from app.api.openapi import examples

MAX_GRID_IMAGES = 4096
"""The most images of one PNG or of one JSON answer."""

MAX_SCALE = 16
"""The most pixels a side that each pixel of an image becomes."""

MAX_PADDING = 64
"""The most black pixels around each image of a grid."""

ModelName = Annotated[
    str | None,
    Field(
        max_length=100, description="`name` or `name@hash`; without one, the default", examples=[None, examples.MODEL]
    ),
]
Digit = Annotated[
    int | None,
    Field(
        ge=0,
        le=9,
        description="The digit to draw; conditional models only, below the `classes` that `/v1/models/{name}` tells",
        examples=[None, 3],
    ),
]
Sha256 = Annotated[str, Field(description="Of the model's weights", examples=[examples.SHA256])]
Reference = Annotated[str, Field(description="name@hash", examples=[examples.REFERENCE])]
