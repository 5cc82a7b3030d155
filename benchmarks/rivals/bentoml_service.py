"""`python -m bentoml serve benchmarks.rivals.bentoml_service:Pictures`: the plain pictures, served by BentoML.

BentoML batches what comes by POST alone, as lists: a request is a JSON list of one, and so is its answer, the PNG as
base64. The batching is its own: https://docs.bentoml.com/en/latest/get-started/adaptive-batching.html.
"""

import base64

import bentoml
from pydantic import BaseModel

from benchmarks.services.plain_pictures import PlainPictures


class BentoMLQuery(BaseModel):
    """An element of the list."""

    n: int = 64
    seed: int = 0


@bentoml.service(
    workers=1,
    resources={"cpu": "1"},
    logging={"access": {"enabled": False}},
    metrics={"enabled": False},
)
class BentoMLPictures:
    """One worker; its method gets the lists of whoever waits as one list."""

    def __init__(self) -> None:
        self._draw = PlainPictures()

    @bentoml.api(batchable=True, max_batch_size=64)
    def samples(self, asked: list[BentoMLQuery], /) -> list[str]:
        """A PNG grid, base64, for each element."""
        return [base64.b64encode(png).decode() for png in self._draw([(one.n, one.seed) for one in asked])]
