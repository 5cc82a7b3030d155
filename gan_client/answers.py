"""The results of the calls, and how each is read from the service's answer."""

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
    """Images and the latents behind them.

    Attributes:
        images: [n, H, W] or [n, H, W, 3] uint8.
        latents: [n, z_dim] float32; given to `generate`, they give the identical images.
        seed: of the images; None where latents were sent.
        first: index within the seed of `images[0]`.
        model: name@hash. With it and `seed` the same call gives the same images for ever.
        url: the permanent URL of this answer, an npz; None where latents were sent.
    """

    images: NDArray[np.uint8]
    latents: NDArray[np.float32]
    seed: int | None
    first: int
    model: str
    url: str | None


@dataclass(frozen=True, eq=False)
class Interpolation:
    """A path through the first images of seeds; every `steps`-th image is a seed's own.

    Attributes:
        images: [n, H, W] or [n, H, W, 3] uint8.
        latents: [n, z_dim] float32.
        seeds: those that were asked for.
        steps: images from one seed to the next.
        mode: slerp or linear.
        model: name@hash.
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
class Score:
    """D's judgement of one picture.

    Attributes:
        logit: D's output; above 0 means rather real.
        probability: σ(logit).
        percentile_real: share of held-out real images, in per cent, that D took for less real.
        percentile_generated: share of G's images, in per cent, that D took for less real.
        model: name@hash.
        filename: of the picture; for those that were arrays "0.png" and so on.
        input: what D saw, [H, W] or [H, W, 3] uint8.
        explanation: where D looks, [H, W, 4] uint8 (RGBA) to lay over `input`; None if it was not asked for.
    """

    logit: float
    probability: float
    percentile_real: float
    percentile_generated: float
    model: str
    filename: str
    input: NDArray[np.uint8]
    explanation: NDArray[np.uint8] | None = None


@dataclass(frozen=True, eq=False)
class Projection:
    """The latent nearest to a picture.

    Attributes:
        latent: [z_dim] float32.
        image: G of it, [H, W] or [H, W, 3] uint8.
        input: the picture in the shape of G's images.
        mean_absolute: distance of the two in grey levels, the mean over all pixels.
        root_mean_square: distance of the two in grey levels, the root of the mean square over all pixels.
        logit: D's output for `image`.
        input_logit: D's output for `input`.
        steps: of the search.
        model: name@hash.
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
        ready: whether the model can be used; if not, `error` says why and the rest is None.
        model: name@hash.
        sha256: of model.safetensors.
        architecture: name of the networks' architecture.
        dataset: what the model was trained on.
        recipe: name of its training recipe.
        images_seen: real images that D was shown in training.
        evaluation: figures of the model, by name.
        error: why the model cannot be used, or None.
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


@dataclass(frozen=True)
class Models:
    """All model folders of a service, and the name of the model of calls that name none."""

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
    return [
        Score(
            logit=one["logit"],
            probability=one["probability"],
            percentile_real=one["percentile"]["real"],
            percentile_generated=one["percentile"]["generated"],
            model=answer["model"],
            filename=one["filename"],
            input=_pixels(one["input"]),
            explanation=None if one["explanation"] is None else _pixels(one["explanation"]),
        )
        for one in answer["results"]
    ]


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
    """Read the JSON of `/v1/models`; what a newer service says besides is left out."""
    answer = response.json()
    return Models(answer["default"], [ModelSummary(**_known(one)) for one in answer["models"]])


def _known(answer: Mapping[str, Any]) -> dict[str, Any]:
    names: Sequence[str] = [field.name for field in fields(ModelSummary)]
    return {name: answer[name] for name in names if name in answer}


def _permanent_url(response: httpx.Response) -> str | None:
    location = response.headers.get("Content-Location")
    return None if location is None else str(response.url.join(location))


def _pixels(png: str) -> NDArray[np.uint8]:
    """The pixels of a PNG in base64."""
    with Image.open(io.BytesIO(base64.b64decode(png))) as image:
        return np.asarray(image)
