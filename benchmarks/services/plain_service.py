"""The service that a person writes in ten minutes: FastAPI, and a `def` route that returns the plain pictures."""

from fastapi import FastAPI
from fastapi.responses import Response

from benchmarks.services.plain_pictures import PlainPictures

app = FastAPI()
draw = PlainPictures()


@app.get("/samples")
def samples(n: int = 64, seed: int = 0) -> Response:
    """Return a PNG grid of n images."""
    return Response(draw([(n, seed)])[0], media_type="image/png")
