"""The service that a person writes in ten minutes: FastAPI, and `def` routes with plain pictures and plain scores."""

from fastapi import FastAPI, UploadFile
from fastapi.responses import Response

from benchmarks.services.plain_pictures import PlainPictures, PlainScores

app = FastAPI()
draw = PlainPictures()
score_of = PlainScores()


@app.get("/samples")
def samples(n: int = 64, seed: int = 0) -> Response:
    """Return a PNG grid of n images."""
    return Response(draw([(n, seed)])[0], media_type="image/png")


@app.post("/score")
def score(files: list[UploadFile]) -> list[dict[str, float]]:
    """Return D's logit and probability of each uploaded image, which must have D's size."""
    return score_of([upload.file.read() for upload in files])
