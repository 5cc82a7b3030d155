"""The links of the OpenAPI document: which answer leads to which further request, with what of it.

A tool that follows links asks as a person would: a latent goes back to G, a model of the list is looked at.
"""

from typing import TypeAlias

Links: TypeAlias = dict[str, object]

_BODY = "$response.body#"
_MODEL = "get_model_v1_models__name__get"
_SAMPLES = "get_samples_v1_samples_get"


def of_drawing() -> Links:
    """Of images that G drew: to the model, and with a latent of the JSON back to G."""
    reference = "$response.header.X-Model"
    return {"model": _link(_MODEL, "The model that drew it", name=reference), **_posted("/samples/0/latent")}


def of_samples() -> Links:
    """Of `/v1/samples`: also to more images of the seed."""
    seed, reference = "$response.header.X-Seed", "$response.header.X-Model"
    more = "Images of the same seed and version, in any form"
    return {**of_drawing(), "more": _link(_SAMPLES, more, seed=seed, model=reference)}


def of_upload() -> Links:
    """Of a score: to the model whose D it was."""
    return {"model": _link(_MODEL, "The model that was asked", name=f"{_BODY}/model")}


def of_projection() -> Links:
    """Of a projection: also to G's image of the latent."""
    return {**of_upload(), **_posted("/latent")}


def of_list() -> Links:
    """Of the list of models: to the first of them."""
    name = f"{_BODY}/models/0/name"
    return {"model": _link(_MODEL, "The first model", name=name), **of_model(name)}


def of_model(name: str = f"{_BODY}/model") -> Links:
    """To what a model has to tell.

    Args:
        name: where the answer has the model's name or reference.
    """
    return {
        "history": _link("get_history_v1_models__name__history_get", "How it was trained", name=name),
        "timeline": _link("get_timeline_v1_models__name__timeline_get", "What it drew as it learnt", name=name),
        "samples": _link(_SAMPLES, "Images that it draws", model=name),
    }


def of_timeline() -> Links:
    """To the first picture of a timeline."""
    operation = "get_timeline_picture_v1_models__name__timeline__epoch__png_get"
    name, epoch = f"{_BODY}/model", f"{_BODY}/pictures/0/epoch"
    return {"picture": _link(operation, "The picture of the first of its epochs", name=name, epoch=epoch)}


def _posted(latent: str) -> Links:
    body = {"latents": [f"{_BODY}{latent}"], "model": f"{_BODY}/model"}
    description = "The identical image, from its latent"
    return {"again": {"operationId": "post_samples_v1_samples_post", "description": description, "requestBody": body}}


def _link(operation: str, description: str, **parameters: str) -> Links:
    return {"operationId": operation, "description": description, "parameters": parameters}
