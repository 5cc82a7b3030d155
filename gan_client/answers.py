"""The results of the calls, and the functions that read them from the service's answers."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray
from PIL import Image


@dataclass(frozen=True, eq=False)
class Samples:
    """Images, and the latents from which G drew them.

    Attributes:
        images: [n, H, W] or [n, H, W, 3] uint8.
        latents: [n, z_dim] float32, one for each image; `generate` draws identical images from them.
        seed: the seed of the images; None if the call sent latents.
        first: index of `images[0]` among the images of the seed.
        model: the model that drew the images, as name@hash. A call with this model and `seed` always gives the same
            images.
        url: the permanent URL of this answer, an npz file; None if the call sent latents.
    """

    images: NDArray[np.uint8]
    latents: NDArray[np.float32]
    seed: int | None
    first: int
    model: str
    url: str | None


@dataclass(frozen=True, eq=False)
class Interpolation:
    """A path from the first image of a seed to that of the next. Every `steps`-th image is the first image of a seed.

    Attributes:
        images: [n, H, W] or [n, H, W, 3] uint8.
        latents: [n, z_dim] float32, one for each image.
        seeds: the requested seeds.
        steps: number of images from one seed to the next.
        mode: the kind of interpolation, "slerp" or "linear".
        model: the model and its version, as name@hash.
        url: the permanent URL of this answer.
    """

    images: NDArray[np.uint8]
    latents: NDArray[np.float32]
    seeds: list[int]
    steps: int
    mode: str
    model: str
    url: str


@dataclass(frozen=True, eq=False)
class PreparationStep:
    """A stage of the preparation of a picture.

    Attributes:
        name: the stage, such as "grey", "flattened", "ink" or "strokes".
        words: one sentence that says what was done to the picture.
        picture: the picture after this stage, [h, w] or [h, w, 3] uint8, at most 256 pixels a side.
    """

    name: str
    words: str
    picture: NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Score:
    """D's judgement of one picture, or the reason why there is none.

    Attributes:
        found: whether a digit was found in the picture. If not, `reason` says why, and all attributes are None except
            `model`, `filename` and `steps`.
        reason: why no digit was found; None if one was.
        box: the part of the picture from which `input` was made: left, top, right and bottom in its pixels (after the
            rotation in its EXIF data), right and bottom exclusive.
        logit: D's output for `input`; a value above 0 means that the picture looks real to D.
        probability: σ(logit), D's probability that the picture is real.
        percentile_real: percentage of held-out real images that D rates as less real.
        percentile_generated: percentage of G's images that D rates as less real.
        percentile_varied: percentage of held-out real images, varied as other pens, hands and scanners would draw them,
            that D rates as less real; None if the model has no such calibration.
        model: the model and its version, as name@hash.
        filename: the picture's file name; pictures given as arrays are called "0.png" and so on.
        input: the image that D judged, [H, W] or [H, W, 3] uint8.
        explanation: the pixels that raise or lower the logit, [H, W, 4] uint8 (RGBA), to be shown on top of `input`;
            None if the call did not ask for it.
        steps: the stages of the preparation; None if the call did not ask for them.
    """

    found: bool
    reason: str | None
    box: tuple[int, int, int, int] | None
    logit: float | None
    probability: float | None
    percentile_real: float | None
    percentile_generated: float | None
    percentile_varied: float | None
    model: str
    filename: str
    input: NDArray[np.uint8] | None
    explanation: NDArray[np.uint8] | None = None
    steps: tuple[PreparationStep, ...] | None = None


@dataclass(frozen=True, eq=False)
class Projection:
    """The latent whose image is nearest to a picture.

    Attributes:
        latent: the latent that was found, [z_dim] float32.
        image: G's image of the latent, [H, W] or [H, W, 3] uint8.
        input: the picture, converted to the shape of G's images.
        mean_absolute: mean absolute difference between `image` and `input`, in grey levels.
        root_mean_square: root of the mean squared difference between `image` and `input`, in grey levels.
        logit: D's output for `image`.
        input_logit: D's output for `input`.
        steps: number of steps of the search.
        model: the model and its version, as name@hash.
    """

    latent: NDArray[np.float32]
    image: NDArray[np.uint8]
    input: NDArray[np.uint8]
    mean_absolute: float
    root_mean_square: float
    logit: float
    input_logit: float
    steps: int
    model: str


@dataclass(frozen=True)
class ModelSummary:
    """A model folder of the service.

    Attributes:
        name: the folder's name.
        ready: whether the model can be used; if not, `error` says why, and the attributes between the two are None.
        model: the model and its version, as name@hash.
        sha256: SHA-256 of model.safetensors.
        architecture: name of the networks' architecture.
        dataset: the data set that the model was trained on.
        recipe: name of its training recipe.
        game: which game G and D played, in one sentence; None if it is not recorded, or the service is older.
        arithmetic: how G computes, "int8" or "float32"; None if the service is older.
        subject: what it draws, "digits" of MNIST or other "pictures"; None if the service is older.
        class_names: the name of each class, by its number; None if the service is older.
        images_seen: number of real images that D saw in training.
        evaluation: quality figures of the model, by name.
        error: the reason why the model cannot be used, or None.
    """

    name: str
    ready: bool
    model: str | None = None
    sha256: str | None = None
    architecture: str | None = None
    dataset: str | None = None
    recipe: str | None = None
    images_seen: int | None = None
    evaluation: Mapping[str, float] | None = None
    error: str | None = None
    game: str | None = None
    arithmetic: str | None = None
    subject: str | None = None
    class_names: list[str] | None = None


@dataclass(frozen=True)
class Models:
    """All model folders of a service, and the name of its default model."""

    default: str | None
    models: list[ModelSummary]


def read_samples(response: httpx.Response, *, first: int) -> Samples:
    """Read an npz of `/v1/samples`."""
    seed = response.headers.get("X-Seed")
    with np.load(io.BytesIO(response.content), allow_pickle=False) as archive:
        return Samples(
            images=archive["images"],
            latents=archive["latents"],
            seed=None if seed is None else int(seed),
            first=first,
            model=response.headers["X-Model"],
            url=_permanent_url(response),
        )


def read_interpolation(response: httpx.Response) -> Interpolation:
    """Read the JSON of `/v1/interpolations`."""
    answer = response.json()
    return Interpolation(
        images=np.stack([_pixels(sample["png"]) for sample in answer["samples"]]),
        latents=np.array([sample["latent"] for sample in answer["samples"]], dtype=np.float32),
        seeds=answer["seeds"],
        steps=answer["steps"],
        mode=answer["mode"],
        model=answer["model"],
        url=_permanent_url(response) or str(response.url),
    )


def read_scores(response: httpx.Response) -> list[Score]:
    """Read the JSON of `/v1/score`."""
    answer = response.json()
    return [_score(answer["model"], one) for one in answer["results"]]


def read_projection(response: httpx.Response) -> Projection:
    """Read the JSON of `/v1/projections`."""
    answer = response.json()
    return Projection(
        latent=np.array(answer["latent"], dtype=np.float32),
        image=_pixels(answer["png"]),
        input=_pixels(answer["input"]),
        mean_absolute=answer["distance"]["mean_absolute"],
        root_mean_square=answer["distance"]["root_mean_square"],
        logit=answer["score"]["projection"]["logit"],
        input_logit=answer["score"]["input"]["logit"],
        steps=answer["steps"],
        model=answer["model"],
    )


def read_models(response: httpx.Response) -> Models:
    """Read the JSON of `/v1/models`. Fields that only a newer service has are ignored."""
    answer = response.json()
    return Models(answer["default"], [ModelSummary(**_known(one)) for one in answer["models"]])


def _score(model: str, one: Mapping[str, Any]) -> Score:
    percentile = one["percentile"] or dict.fromkeys(("real", "generated", "varied"))
    steps = one["steps"]
    return Score(
        found=one["found"],
        reason=one["reason"],
        box=None if one["box"] is None else tuple(one["box"]),
        logit=one["logit"],
        probability=one["probability"],
        percentile_real=percentile["real"],
        percentile_generated=percentile["generated"],
        percentile_varied=percentile["varied"],
        model=model,
        filename=one["filename"],
        input=None if one["input"] is None else _pixels(one["input"]),
        explanation=None if one["explanation"] is None else _pixels(one["explanation"]),
        steps=None
        if steps is None
        else tuple(PreparationStep(s["name"], s["words"], _pixels(s["png"])) for s in steps),
    )


def _known(answer: Mapping[str, Any]) -> dict[str, Any]:
    names: Sequence[str] = [field.name for field in fields(ModelSummary)]
    return {name: answer[name] for name in names if name in answer}


def _permanent_url(response: httpx.Response) -> str | None:
    location = response.headers.get("Content-Location")
    return None if location is None else str(response.url.join(location))


def _pixels(png: str) -> NDArray[np.uint8]:
    """Decode a PNG in base64 to its pixels."""
    with Image.open(io.BytesIO(base64.b64decode(png))) as image:
        return np.asarray(image)
