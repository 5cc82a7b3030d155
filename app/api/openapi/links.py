"""The links of the OpenAPI document: which request can follow an answer, and which values it takes from the answer.

A tool that follows links uses the service as a person would: it posts a latent back to G, or looks at a model of the
list.
"""

from typing import TypeAlias

Links: TypeAlias = dict[str, object]

_BODY = "$response.body#"
_MODEL = "get_model"
_SAMPLES = "get_samples"


def of_drawing() -> Links:
    """Return the links of images that G drew: to the model, and from a latent of the JSON back to G."""
    reference = "$response.header.X-Model"
    return {"model": _link(_MODEL, "The model that drew the images", name=reference), **_posted("/samples/0/latent")}


def of_samples() -> Links:
    """Return the links of an answer of `/v1/samples`: those of `of_drawing()`, and one to more images of its seed."""
    seed, reference = "$response.header.X-Seed", "$response.header.X-Model"
    more = "More images of the same seed and model version, in any format"
    return {**of_drawing(), "more": _link(_SAMPLES, more, seed=seed, model=reference)}


def of_upload() -> Links:
    """Return the link of a score: to the model whose D scored the images."""
    return {"model": _link(_MODEL, "The model that was used", name=f"{_BODY}/model")}


def of_projection() -> Links:
    """Return the links of a projection: to the model, and from the latent to the image that G draws from it."""
    return {**of_upload(), **_posted("/latent")}


def of_list() -> Links:
    """Return the links of the list of models: one to its first model, and those that `of_model` gives for that one."""
    name = f"{_BODY}/models/0/name"
    return {"model": _link(_MODEL, "The first model of the list", name=name), **of_model(name)}


def of_model(name: str = f"{_BODY}/model") -> Links:
    """Return the links from a model to its history, its timeline and its samples.

    Args:
        name: the place in the answer that holds the model's name or reference (an OpenAPI runtime expression).
    """
    return {
        "history": _link("get_history", "How the model was trained", name=name),
        "timeline": _link("get_timeline", "Pictures drawn during training", name=name),
        "samples": _link(_SAMPLES, "Images that the model draws", model=name),
    }


def of_timeline() -> Links:
    """Return the link of a timeline: to its first picture."""
    name, epoch = f"{_BODY}/model", f"{_BODY}/pictures/0/epoch"
    return {"picture": _link("get_timeline_picture", "The first picture of the timeline", name=name, epoch=epoch)}


def _posted(latent: str) -> Links:
    # Generators take a text only, so the body is JSON with expressions in it.
    body = f'{{"latents": [{{{_BODY}{latent}}}], "model": "{{{_BODY}/model}}"}}'
    description = "The identical image, drawn again from its latent"
    return {"again": {"operationId": "post_samples", "description": description, "requestBody": body}}


def _link(operation: str, description: str, **parameters: str) -> Links:
    return {"operationId": operation, "description": description, "parameters": parameters}
