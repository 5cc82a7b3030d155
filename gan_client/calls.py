"""Each call of the service: its parameters, the request that it makes, and how its answer is read.

Nothing is sent here: both clients (`gan_client.client`) take their methods from these functions.
"""

import io
import zipfile
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, Generic, Literal, TypeAlias, TypeVar

import httpx
import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from gan_client import answers
from gan_client.errors import AnswerError, ProblemError

Picture: TypeAlias = "NDArray[np.uint8] | bytes | str | PathLike[str]"
"""[H, W] or [H, W, 3] uint8; or the bytes of an image file, or the path of one."""

Preprocess: TypeAlias = Literal["auto", "none"]

CHUNK_IMAGES = 10_000
"""Images of one call of `iter_samples`: of MNIST, 8 MB."""

T = TypeVar("T")


@dataclass(frozen=True)
class Call(Generic[T]):
    """One request to make, and how to read the answer to it."""

    method: str
    path: str
    read: Callable[[httpx.Response], T]
    content: dict[str, Any]  # `params`, `json`, `files`, as httpx takes them

    def result(self, response: httpx.Response) -> T:
        """What the answer says.

        Raises:
            ProblemError: the service said no.
            AnswerError: it is no answer of this service.
        """
        if not response.is_success:
            raise ProblemError(response)
        try:
            return self.read(response)
        except (KeyError, TypeError, ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
            kind = response.headers.get("Content-Type", "unknown type")
            raise AnswerError(f"{response.url} gave {kind} that is no answer of a GAN service: {error!r}") from error


Conversation: TypeAlias = Generator[Call[T], T | None, None]
"""Calls of which each may depend on the answer before it: it is sent None first, then each call's answer."""


def samples(
    n: int = 64,
    *,
    seed: int | None = None,
    first: int = 0,
    model: str | None = None,
    digit: int | None = None,
    truncation: float = 1.0,
) -> Call[answers.Samples]:
    """Images `first … first + n − 1` of a seed, and their latents.

    Args:
        n: how many; a service gives up to 100,000 at once. `iter_samples` gives more, in little memory.
        seed: 0 ≤ seed < 2⁵³; without one the service draws one.
        first: index of the first image.
        model: name or name@hash; without one, the service's default.
        digit: the digit to draw, of a conditional model.
        truncation: ψ in (0, 1]; smaller means less variety and fewer oddities.
    """
    asked = {"n": n, "seed": seed, "first": first, "model": model, "digit": digit, "truncation": truncation}
    read = partial(answers.read_samples, first=first)
    return Call("GET", "/v1/samples", read, {"params": _given(asked | {"format": "npz"})})


def iter_samples(
    n: int,
    *,
    chunk: int = CHUNK_IMAGES,
    seed: int | None = None,
    first: int = 0,
    model: str | None = None,
    digit: int | None = None,
    truncation: float = 1.0,
) -> Conversation[answers.Samples]:
    """The same images as `samples(n, …)`, any number of them, `chunk` at a time.

    All are of the seed and of the model's version that the first chunk has.

    Args:
        n: how many images in all.
        chunk: how many in each call; the last one may have fewer.
        seed: as in `samples`.
        first: as in `samples`.
        model: as in `samples`.
        digit: as in `samples`.
        truncation: as in `samples`.

    Raises:
        ValueError: n below 0, or chunk below 1.
    """
    if n < 0 or chunk < 1:
        raise ValueError(f"n must be at least 0 and chunk at least 1, not {n} and {chunk}")
    for start in range(0, n, chunk):
        size = min(chunk, n - start)
        answer = yield samples(size, seed=seed, first=first + start, model=model, digit=digit, truncation=truncation)
        if answer is not None:
            seed, model = answer.seed, answer.model


def generate(latents: ArrayLike, *, model: str | None = None) -> Call[answers.Samples]:
    """G of exactly these latents.

    Args:
        latents: [n, z_dim], finite; a service takes up to 4,096 at once.
        model: name or name@hash; without one, the service's default.

    Raises:
        ValueError: a latent is NaN or infinite, which JSON cannot say.
    """
    rows = np.asarray(latents, dtype=np.float32).tolist()  # exact: a float32 is one float64
    body = {"latents": rows, "model": model, "format": "npz"}
    return Call("POST", "/v1/samples", partial(answers.read_samples, first=0), {"json": _given(body)})


def interpolate(
    seeds: Sequence[int],
    *,
    steps: int = 16,
    mode: Literal["slerp", "linear"] | None = None,
    loop: bool = False,
    model: str | None = None,
    digit: int | None = None,
) -> Call[answers.Interpolation]:
    """A path through the first images of seeds.

    Args:
        seeds: 2 to 16 of them.
        steps: images from one seed to the next.
        mode: slerp or linear; without one, what suits the model's prior.
        loop: whether to go back to the first seed, and stop one step before.
        model: name or name@hash; without one, the service's default.
        digit: the digit to keep to, of a conditional model.
    """
    asked = {"seeds": ",".join(map(str, seeds)), "steps": steps, "mode": mode, "loop": loop, "model": model}
    query = _given(asked | {"digit": digit, "format": "json"})
    return Call("GET", "/v1/interpolations", answers.read_interpolation, {"params": query})


def score(
    pictures: NDArray[np.uint8] | Sequence[Picture],
    *,
    model: str | None = None,
    preprocess: Preprocess = "auto",
    explain: bool = False,
) -> Call[list[answers.Score]]:
    """D's judgement of pictures, in their order.

    Args:
        pictures: [n, H, W] or [n, H, W, 3] uint8, or a list of pictures; a service takes up to 64 at once.
        model: name or name@hash; without one, the service's default.
        preprocess: auto makes an MNIST digit of a photo or a drawing; none takes pictures of the model's size as
            they are.
        explain: whether to say where D looks.

    Raises:
        ValueError: an array is no picture.
        OSError: a file cannot be read.
    """
    query = _given({"model": model, "preprocess": preprocess, "explain": explain})
    return Call("POST", "/v1/score", answers.read_scores, {"params": query, "files": _files("files", pictures)})


def project(picture: Picture, *, model: str | None = None, preprocess: Preprocess = "auto") -> Call[answers.Projection]:
    """The latent whose image is nearest to a picture; the search takes a second or so.

    Args:
        picture: what is looked for.
        model: name or name@hash; without one, the service's default.
        preprocess: as in `score`.

    Raises:
        ValueError: the array is no picture.
        OSError: the file cannot be read.
    """
    content = {"params": _given({"model": model, "preprocess": preprocess}), "files": _files("file", [picture])}
    return Call("POST", "/v1/projections", answers.read_projection, content)


def models() -> Call[answers.Models]:
    """The models of the service."""
    return Call("GET", "/v1/models", answers.read_models, {})


def _given(asked: dict[str, Any]) -> dict[str, Any]:
    """The parameters that were given; the service decides the others."""
    return {name: value for name, value in asked.items() if value is not None}


def _files(field: str, pictures: Iterable[Picture]) -> list[tuple[str, tuple[str, bytes]]]:
    if isinstance(pictures, str | bytes | PathLike):
        raise TypeError(f"pictures must be an array or a list, not one {type(pictures).__name__}: put it into a list")
    return [(field, _file(place, picture)) for place, picture in enumerate(pictures)]


def _file(place: int, picture: Picture) -> tuple[str, bytes]:
    """The name and the bytes of a picture's file."""
    if isinstance(picture, bytes):
        return f"{place}", picture
    if isinstance(picture, str | PathLike):
        return Path(picture).name, Path(picture).read_bytes()
    if picture.dtype != np.uint8 or picture.shape[2:] not in {(), (3,)} or picture.ndim < 2:
        raise ValueError(f"a picture must be [H, W] or [H, W, 3] uint8, not {list(picture.shape)} {picture.dtype}")
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return f"{place}.png", buffer.getvalue()
