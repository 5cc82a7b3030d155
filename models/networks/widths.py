"""The limit on the width of a layer. It refuses typing errors in recipes, and model folders made to exhaust memory."""

from typing import Annotated, TypeAlias

from pydantic import Field

MAX_WIDTH = 8192

Width: TypeAlias = Annotated[int, Field(ge=1, le=MAX_WIDTH)]
