"""`python -m bentoml serve benchmarks.rivals.bentoml_service:Pictures`: the plain pictures, served by BentoML.

BentoML batches only what comes by POST, as lists: a request is a JSON list of one element, and its answer is a list of
one PNG as base64. The batching is BentoML's: https://docs.bentoml.com/en/latest/get-started/adaptive-batching.html.
"""

import base64

import bentoml
from pydantic import BaseModel

from benchmarks.services.plain_pictures import PlainPictures


class BentoMLQuery(BaseModel):
    """An element of the list in a request."""

    n: int = 64
    seed: int = 0


@bentoml.service(
    workers=1,
    resources={"cpu": "1"},
    logging={"access": {"enabled": False}},
    metrics={"enabled": False},
)
class BentoMLPictures:
    """One worker. BentoML joins the lists of all waiting requests, and calls the method with the joined list."""

    def __init__(self) -> None:
        self._draw = PlainPictures()

    @bentoml.api(batchable=True, max_batch_size=64)
    def samples(self, asked: list[BentoMLQuery], /) -> list[str]:
        """Return a PNG grid, as base64, for each element."""
        return [base64.b64encode(png).decode() for png in self._draw([(one.n, one.seed) for one in asked])]
