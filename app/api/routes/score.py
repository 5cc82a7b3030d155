"""`/v1/score`: D's score of uploaded images."""

import asyncio
from typing import TypeAlias

import numpy as np
from fastapi import APIRouter, Request
from numpy.typing import NDArray

from app.api.forms import (
    ExplainParameter,
    ModelParameter,
    PreprocessParameter,
    SplitParameter,
    StepsParameter,
    described_form,
    files_of,
    preprocess_of,
    read_form,
    read_images,
    switch_of,
    text_of,
)
from app.api.openapi import links, problem_examples
from app.api.schemas.score import Percentiles, PreparationStep, ScoreAnswer, ScoreResult
from app.api.state import RETRY_AFTER_S, SharedState, State
from app.api.strict_route import StrictRoute
from app.inference.catalog import ServedModel
from app.media.png import encode_base64_png
from app.media.saliency_overlay import overlay_of
from app.media.uploads import Prepared
from app.middleware.disconnects import Watch

MAX_FILES = 64

_TEXTS = ("model", "preprocess", "explain", "split", "steps")

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
    split: SplitParameter = None,
    steps: StepsParameter = None,
) -> ScoreAnswer:
    """Scores 1 to 64 images with D: the logit, the probability, and the percentage of other images with a lower logit.

    The parameters may also be fields of the form. `input` is the picture that D saw, and `box` the part of the upload
    from which it was made. If no digit is found, `found` is false and `reason` says why. `explanation` can be laid over
    `input` and shows the pixels on which the score depends (saliency: Simonyan et al. 2013,
    [arXiv 1312.6034](https://arxiv.org/abs/1312.6034)).
    """
    async with read_form(request, field="files", max_files=MAX_FILES, texts=_TEXTS) as form:
        served = state.catalog.find(model or text_of(form, "model"))
        chosen = preprocess_of(form, preprocess)
        explained, each, told = (
            switch_of(form, name, given) for name, given in (("explain", explain), ("split", split), ("steps", steps))
        )
        files = files_of(form, field="files", max_files=MAX_FILES)
        images = await read_images(state, served, files, field="files", preprocess=chosen, split=each, steps=told)
    with Watch(request.receive):
        opinions = await _opinions(state, served, [one.image for one in images if one.image is not None], explained)
    # Encoding pictures takes too long for the event loop if there are many.
    results = await asyncio.to_thread(_results, served, images, opinions, with_steps=told)
    return ScoreAnswer(model=served.model.reference, results=results)


Opinion: TypeAlias = tuple[float, NDArray[np.float32] | None]
"""D's logit of an image, and its gradient with respect to the pixels if it was asked for."""


async def _opinions(
    state: State, served: ServedModel, images: list[NDArray[np.uint8]], explained: bool
) -> list[Opinion]:
    """Compute D's logit of each image, and its gradient if it is to be explained."""
    if not images:
        return []
    pixels = np.stack(images)
    logits = await state.score(served, pixels)
    gradients = await state.explain(served, pixels) if explained else [None] * len(images)
    return list(zip(logits.tolist(), gradients, strict=True))


def _results(
    served: ServedModel, images: list[Prepared], opinions: list[Opinion], *, with_steps: bool
) -> list[ScoreResult]:
    """Make the results of images, some of which may not have been found; those that were have the opinions."""
    waiting = iter(opinions)
    return [_result(served, one, next(waiting) if one.found else None, with_steps=with_steps) for one in images]


def _result(served: ServedModel, prepared: Prepared, opinion: Opinion | None, *, with_steps: bool) -> ScoreResult:
    logit, gradient = opinion or (None, None)
    return ScoreResult(
        filename=prepared.filename,
        found=prepared.found,
        reason=prepared.reason,
        box=prepared.box,
        logit=logit,
        probability=None if logit is None else probability_of(logit),
        percentile=None if logit is None else percentiles_of(served, logit),
        input=None if prepared.image is None else encode_base64_png(prepared.image),
        explanation=None if gradient is None else encode_base64_png(overlay_of(gradient)),
        steps=[
            PreparationStep(name=step.name, words=step.words, png=encode_base64_png(step.picture))
            for step in prepared.steps
        ]
        if with_steps
        else None,
    )


def percentiles_of(served: ServedModel, logit: float) -> Percentiles:
    """Return the percentiles of a logit by the calibration of a model."""
    return Percentiles.model_validate(served.model.metadata.calibration.percentiles(logit))


def probability_of(logit: float) -> float:
    """Return the probability of a logit, σ(logit)."""
    return float(1 / (1 + np.exp(-np.float64(logit))))
