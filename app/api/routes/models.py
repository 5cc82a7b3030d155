"""`/v1/models`: the models, how each was trained, and what each drew during training."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from app.api import caching
from app.api.content_negotiation import document_content
from app.api.openapi import examples, links, problem_examples
from app.api.schemas.models import (
    HistoryAnswer,
    ModelAnswer,
    ModelsAnswer,
    ModelSummary,
    NamedMetadata,
    TimelineAnswer,
    TimelinePicture,
)
from app.api.state import SharedState
from app.api.strict_route import StrictRoute
from app.inference.catalog import ServedModel
from app.problems import Problem, is_out_of_files
from models.errors import ModelFolderError
from models.model_folder.loaded_model import LoadedModel
from models.model_folder.read import read_picture

router = APIRouter(tags=["models"], route_class=StrictRoute)

Name = Annotated[
    str, Path(max_length=100, description="The model, as `name` or `name@hash`", examples=[examples.MODEL])
]


@router.get("/v1/models", summary="All models", responses={200: {"links": links.of_list()}})
async def list_models(state: SharedState) -> ModelsAnswer:
    """Lists the usable models. Model folders that cannot be used are listed, too, with the reason."""
    catalog = state.catalog
    usable = [_summary(served, catalog.broken.get(name)) for name, served in catalog.models.items()]
    broken = [
        ModelSummary(name=name, ready=False, error=error)
        for name, error in catalog.broken.items()
        if name not in catalog.models
    ]
    return ModelsAnswer(default=state.catalog.default, models=usable + broken)


@router.get(
    "/v1/models/{name}",
    summary="One model",
    responses={200: {"links": links.of_model()}, **problem_examples.of_model()},
)
async def get_model(state: SharedState, name: Name) -> ModelAnswer:
    """Gives the model's metadata and its model card."""
    model = state.catalog.find(name, parameter="name").model
    return ModelAnswer(
        name=model.name,
        model=model.reference,
        sha256=model.sha256,
        metadata=NamedMetadata.of(model),
        card=model.card,
    )


@router.get(
    "/v1/models/{name}/history", summary="A model's training, epoch by epoch", responses=problem_examples.of_model()
)
async def get_history(state: SharedState, name: Name) -> HistoryAnswer:
    """Gives the losses, the mean D(x) and D(G(z)) and the value V(G, D) of each epoch, and what went wrong.

    They are figures of the D that played the game. The D of `/v1/score` may be another one, the judge: see
    `metadata.judge`.
    """
    model = state.catalog.find(name, parameter="name").model
    return HistoryAnswer(
        model=model.reference,
        game=model.metadata.game,
        optimum=model.metadata.optimum,
        epochs=list(model.history.epochs),
        events=list(model.history.events),
    )


@router.get(
    "/v1/models/{name}/timeline",
    summary="What a model drew during training",
    responses={200: {"links": links.of_timeline()}, **problem_examples.of_model()},
)
async def get_timeline(request: Request, state: SharedState, name: Name) -> TimelineAnswer:
    """Lists pictures of the same latents, drawn after several epochs. Epoch 0 is the untrained G."""
    model = state.catalog.find(name, parameter="name").model
    base = f"{request.scope.get('root_path', '')}/v1/models/{model.reference}/timeline"
    pictures = [TimelinePicture(epoch=entry.epoch, url=f"{base}/{entry.epoch}.png") for entry in model.timeline]
    return TimelineAnswer(model=model.reference, pictures=pictures)


@router.get(
    "/v1/models/{name}/timeline/{epoch}.png",
    summary="One picture of the timeline",
    response_class=Response,
    responses={
        200: {
            "description": "A PNG grid of 8 × 8 images",
            "content": document_content({"png": "image/png"}),
            "headers": caching.documented_headers(etag='"49f0630394b29c8541fb691b2928b889"'),
        },
        304: {"description": "Not modified: If-None-Match contains the ETag"},
        **problem_examples.of_model(),
    },
)
def get_timeline_picture(
    request: Request,
    state: SharedState,
    name: Name,
    epoch: Annotated[
        int, Path(ge=0, lt=10**9, description="An epoch that `/v1/models/{name}/timeline` lists", examples=[0])
    ],
    if_none_match: caching.IfNoneMatch = None,
) -> Response:
    """Gives a PNG grid of the fixed latents, drawn after that epoch with the average of G's weights (EMA)."""
    model = state.catalog.find(name, parameter="name").model
    entry = next((entry for entry in model.timeline if entry.epoch == epoch), None)
    if entry is None or not request.scope["path"].endswith(f"/{epoch}.png"):  # such as 0.0, +0 or 0_0
        raise _no_picture(model, epoch)
    headers = {
        "X-Model": model.reference,
        "ETag": caching.entity_tag(model, f"timeline/{epoch}/{entry.sha256}"),
        "Cache-Control": caching.cache_control(seed_given=True, version_given="@" in name),
    }
    if caching.matches(if_none_match, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    try:
        picture = read_picture(model.path, entry)
    except (ModelFolderError, OSError) as error:
        if is_out_of_files(error):
            raise
        detail = (
            f"the picture of epoch {epoch} has gone from the model folder, or has changed since the folder was loaded; "
            "ask for another epoch, or ask the operator to reload the models"
        )
        raise Problem.of_parameter("epoch", detail, epoch, status=404) from error
    return Response(picture, headers=headers, media_type="image/png")


def _no_picture(model: LoadedModel, epoch: int) -> Problem:
    if model.timeline:
        epochs = ", ".join(str(known.epoch) for known in model.timeline)
        detail = f"the timeline of {model.name} has no picture of epoch {epoch}; ask for one of the epochs {epochs}"
    else:
        detail = f"the timeline of {model.name} has no pictures; ask for the timeline of another model"
    return Problem.of_parameter("epoch", detail, epoch, status=404)


def _summary(served: ServedModel, error: str | None) -> ModelSummary:
    model, metadata = served.model, served.model.metadata
    return ModelSummary(
        name=model.name,
        ready=True,
        model=model.reference,
        sha256=model.sha256,
        architecture=metadata.architecture.name,
        dataset=metadata.dataset,
        recipe=metadata.recipe,
        class_names=metadata.class_names,
        subject="digits" if metadata.draws_digits else "pictures",
        game=metadata.game,
        arithmetic=served.sampler.arithmetic,
        images_seen=metadata.images_seen,
        evaluation=dict(metadata.evaluation),
        error=error,
    )
