"""`/v1/projections`: finds the latent whose image is nearest to an upload."""

import numpy as np
from fastapi import APIRouter, Request
from numpy.typing import NDArray

from app.api.forms import (
    ModelParameter,
    PreprocessParameter,
    described_form,
    files_of,
    preprocess_of,
    read_form,
    read_images,
    text_of,
)
from app.api.openapi import links, problem_examples
from app.api.routes.score import probability_of
from app.api.schemas.projections import Distance, ProjectionAnswer, ProjectionScores
from app.api.schemas.score import Percentiles, Score
from app.api.state import RETRY_PROJECTION_AFTER_S, SharedState
from app.api.strict_route import StrictRoute
from app.inference.catalog import ServedModel
from app.media.png import encode_base64_png
from app.middleware.disconnects import until_gone

_TEXTS = ("model", "preprocess")

router = APIRouter(tags=["projections"], route_class=StrictRoute)

_BODY = described_form(
    "file",
    {
        "type": "string",
        "format": "binary",
        "description": "A PNG, JPEG, WebP, GIF or BMP file of any size and colour mode, up to the service's limits",
    },
)


@router.post(
    "/v1/projections",
    summary="The latent whose image is nearest to an uploaded image",
    response_model=ProjectionAnswer,
    responses={
        200: {"links": links.of_projection()},
        **problem_examples.of_upload("file", 1, "projections", RETRY_PROJECTION_AFTER_S),
    },
    openapi_extra=_BODY,
)
async def post_projection(
    request: Request, state: SharedState, model: ModelParameter = None, preprocess: PreprocessParameter = None
) -> ProjectionAnswer:
    """Finds the latent whose image is nearest to the upload, and gives this image, its distance, and D's score of both.

    The search starts from several latents and takes about a second. The same upload gives the same latent. If it is
    posted to `/v1/samples`, the latent gives the identical image. `preprocess` and `model` may also be fields of the
    form.
    """
    async with read_form(request, field="file", max_files=1, texts=_TEXTS) as form:
        served = state.catalog.find(model or text_of(form, "model"))
        chosen = preprocess_of(form, preprocess)
        (file,) = files_of(form, field="file", max_files=1)
        (image,) = await read_images(state, served, chosen, [file.filename or "file"], [file], field="file")
    found = await state.project(served, image, gone=until_gone(request.receive))
    # The sampler draws it again, so that the latent gives the identical image when it is posted.
    (nearest,) = await state.draw(served, found.latent[None], may_wait=True)
    logits = await state.score(served, np.stack([image, nearest]), may_wait=True)
    return ProjectionAnswer(
        model=served.model.reference,
        model_sha256=served.model.sha256,
        latent=found.latent.tolist(),
        png=encode_base64_png(nearest),
        input=encode_base64_png(image),
        distance=_distance(image, nearest),
        score=ProjectionScores(input=_score(served, float(logits[0])), projection=_score(served, float(logits[1]))),
        steps=found.steps,
        restarts=found.restarts,
    )


def _distance(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> Distance:
    differences = one.astype(np.float64) - other
    return Distance(
        mean_absolute=float(np.abs(differences).mean()), root_mean_square=float(np.sqrt((differences**2).mean()))
    )


def _score(served: ServedModel, logit: float) -> Score:
    percentile = Percentiles.model_validate(served.model.metadata.calibration.percentiles(logit))
    return Score(logit=logit, probability=probability_of(logit), percentile=percentile)
