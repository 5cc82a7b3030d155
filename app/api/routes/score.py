"""`/v1/score`: D's score of uploaded images."""

import numpy as np
from fastapi import APIRouter, Request
from numpy.typing import NDArray

from app.api.forms import (
    ExplainParameter,
    ModelParameter,
    PreprocessParameter,
    described_form,
    explain_of,
    files_of,
    preprocess_of,
    read_form,
    read_images,
    text_of,
)
from app.api.openapi import links, problem_examples
from app.api.schemas.score import Percentiles, ScoreAnswer, ScoreResult
from app.api.state import RETRY_AFTER_S, SharedState
from app.api.strict_route import StrictRoute
from app.inference.catalog import ServedModel
from app.media.png import encode_base64_png
from app.media.saliency_overlay import overlay_of
from app.middleware.disconnects import Watch

MAX_FILES = 64

_TEXTS = ("model", "preprocess", "explain")

router = APIRouter(tags=["score"], route_class=StrictRoute)

_BODY = described_form(
    "files",
    {
        "type": "array",
        "minItems": 1,
        "maxItems": MAX_FILES,
        "items": {"type": "string", "format": "binary"},
        "description": "PNG, JPEG, WebP, GIF or BMP files of any size and colour mode, up to the service's limits",
    },
)


@router.post(
    "/v1/score",
    summary="D's score of uploaded images",
    responses={
        200: {"links": links.of_upload()},
        **problem_examples.of_upload("files", MAX_FILES, "images", RETRY_AFTER_S),
    },
    openapi_extra=_BODY,
)
async def post_score(
    request: Request,
    state: SharedState,
    model: ModelParameter = None,
    preprocess: PreprocessParameter = None,
    explain: ExplainParameter = None,
) -> ScoreAnswer:
    """Scores 1 to 64 images with D: the logit, the probability, and the percentage of other images with a lower logit.

    `preprocess`, `model` and `explain` may also be fields of the form. `input` is the picture that D saw. `explanation`
    can be laid over it and shows the pixels on which the score depends (saliency: Simonyan et al. 2013,
    [arXiv 1312.6034](https://arxiv.org/abs/1312.6034)).
    """
    async with read_form(request, field="files", max_files=MAX_FILES, texts=_TEXTS) as form:
        served = state.catalog.find(model or text_of(form, "model"))
        chosen = preprocess_of(form, preprocess)
        explained = explain_of(form, explain)
        files = files_of(form, field="files", max_files=MAX_FILES)
        names = [file.filename or f"file {place}" for place, file in enumerate(files, start=1)]
        images = await read_images(state, served, chosen, names, files, field="files")
    with Watch(request.receive):
        logits = await state.score(served, images)
        gradients = await state.explain(served, images) if explained else [None] * len(images)
    return ScoreAnswer(
        model=served.model.reference,
        results=[_result(served, *row) for row in zip(names, images, logits.tolist(), gradients, strict=True)],
    )


def _result(
    served: ServedModel,
    filename: str,
    image: NDArray[np.uint8],
    logit: float,
    gradient: NDArray[np.float32] | None,
) -> ScoreResult:
    return ScoreResult(
        filename=filename,
        logit=logit,
        probability=probability_of(logit),
        percentile=Percentiles.model_validate(served.model.metadata.calibration.percentiles(logit)),
        input=encode_base64_png(image),
        explanation=None if gradient is None else encode_base64_png(overlay_of(gradient)),
    )


def probability_of(logit: float) -> float:
    """Return the probability of a logit, σ(logit)."""
    return float(1 / (1 + np.exp(-np.float64(logit))))
