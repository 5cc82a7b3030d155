"""The calls of the service. Each function builds the request of one call, and says how to read its answer.

Nothing is sent here: both clients (`gan_client.client`) make their methods from these functions.
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
"""An array [H, W] or [H, W, 3] uint8, the bytes of an image file, or the path of one."""

Preprocess: TypeAlias = Literal["auto", "none"]

CHUNK_IMAGES = 10_000
"""Number of images in one call of `iter_samples`. For MNIST they take 8 MB."""

T = TypeVar("T")


@dataclass(frozen=True)
class Call(Generic[T]):
    """A request, and the function that reads its answer."""

    method: str
    path: str
    read: Callable[[httpx.Response], T]
    content: dict[str, Any]  # the arguments `params`, `json` and `files` of httpx

    def result(self, response: httpx.Response) -> T:
        """Read the result from an answer.

        Raises:
            ProblemError: the service refused the call.
            AnswerError: the answer does not come from a GAN service.
        """
        if not response.is_success:
            raise ProblemError(response)
        try:
            return self.read(response)
        except (KeyError, TypeError, ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
            kind = response.headers.get("Content-Type", "unknown type")
            message = f"{response.url} gave {kind}, not the answer of a GAN service; check the URL: {error!r}"
            raise AnswerError(message) from error


Conversation: TypeAlias = Generator[Call[T], T | None, None]
"""A generator of calls. It is sent None at first, and then the answer to each call; the next call may depend on it."""


def samples(
    n: int = 64,
    *,
    seed: int | None = None,
    first: int = 0,
    model: str | None = None,
    digit: int | None = None,
    class_: str | int | None = None,
    truncation: float = 1.0,
) -> Call[answers.Samples]:
    """Draw images `first … first + n − 1` of a seed, and get their latents.

    Args:
        n: number of images. A call can draw up to 100,000; `iter_samples` draws more, in little memory.
        seed: the seed, 0 ≤ seed < 2⁵³; without it the service chooses one at random.
        first: index of the first image.
        model: the model, as name or name@hash; the default is the service's default model.
        digit: the digit to draw; only for conditional models.
        class_: the class to draw, by its name or its number, in place of `digit`.
        truncation: the factor ψ in (0, 1]; a smaller value gives less variety and fewer odd shapes.
    """
    asked = {"n": n, "seed": seed, "first": first, "model": model, "digit": digit, "class": class_}
    read = partial(answers.read_samples, first=first)
    return Call("GET", "/v1/samples", read, {"params": _given(asked | {"truncation": truncation, "format": "npz"})})


def iter_samples(
    n: int,
    *,
    chunk: int = CHUNK_IMAGES,
    seed: int | None = None,
    first: int = 0,
    model: str | None = None,
    digit: int | None = None,
    class_: str | int | None = None,
    truncation: float = 1.0,
) -> Conversation[answers.Samples]:
    """Draw any number of images, `chunk` at a time. The images are the same as those of `samples`.

    All chunks have the seed and the version of the model that the first chunk has. If the service replaces this version
    between two chunks, the next one raises a `ProblemError` with status 404, since the service no longer has it. The
    chunks before it are right. Other images of the new version begin with a new call; to go on with the same images,
    serve the old version again, and call with the `seed` and `model` of a chunk, the `first` that is missing, and the
    `n` that is left.

    Args:
        n: number of images in total.
        chunk: number of images in each call; the last call may have fewer.
        seed: the seed, as in `samples`.
        first: index of the first image, as in `samples`.
        model: the model, as in `samples`.
        digit: the digit to draw, as in `samples`.
        class_: the class to draw, as in `samples`.
        truncation: the truncation ψ, as in `samples`.

    Raises:
        TypeError: n, chunk or first is no int. This is raised by the call itself, before the first chunk is asked for.
        ValueError: n is below 0, or chunk is below 1; raised by the call itself, too.
    """
    for name, value in {"n": n, "chunk": chunk, "first": first}.items():
        if isinstance(value, bool) or not hasattr(value, "__index__"):  # NumPy's integers have it, too
            raise TypeError(f"{name} must be an int, not {value!r}")
    if n < 0 or chunk < 1:
        raise ValueError(f"n must be at least 0 and chunk at least 1, not {n} and {chunk}")
    return _chunks(
        int(n),
        chunk=int(chunk),
        seed=seed,
        first=int(first),
        model=model,
        digit=digit,
        class_=class_,
        truncation=truncation,
    )


def _chunks(
    n: int,
    *,
    chunk: int,
    seed: int | None,
    first: int,
    model: str | None,
    digit: int | None,
    class_: str | int | None,
    truncation: float,
) -> Conversation[answers.Samples]:
    for start in range(0, n, chunk):
        size = min(chunk, n - start)
        answer = yield samples(
            size, seed=seed, first=first + start, model=model, digit=digit, class_=class_, truncation=truncation
        )
        if answer is not None:
            seed, model = answer.seed, answer.model


def generate(latents: ArrayLike, *, model: str | None = None) -> Call[answers.Samples]:
    """Draw the images of given latents.

    Args:
        latents: the latents, [n, z_dim], finite; a call can have up to 4,096.
        model: the model, as name or name@hash; the default is the service's default model.

    Raises:
        ValueError: a latent is NaN or infinite, which JSON cannot represent.
    """
    rows = np.asarray(latents, dtype=np.float32).tolist()  # exact: every float32 is also a float64
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
    class_: str | int | None = None,
) -> Call[answers.Interpolation]:
    """Draw a path from the first image of each seed to that of the next.

    Args:
        seeds: 2 to 16 seeds.
        steps: number of images from one seed to the next.
        mode: the kind of interpolation, "slerp" or "linear"; the default is the one that suits the model's prior.
        loop: whether the path returns from the last seed to the first. It ends one step before the
            first image.
        model: the model, as name or name@hash; the default is the service's default model.
        digit: the digit that all images show; only for conditional models.
        class_: the class that all images show, by its name or its number, in place of `digit`.
    """
    asked = {"seeds": ",".join(map(str, seeds)), "steps": steps, "mode": mode, "loop": loop, "model": model}
    query = _given(asked | {"digit": digit, "class": class_, "format": "json"})
    return Call("GET", "/v1/interpolations", answers.read_interpolation, {"params": query})


def score(
    pictures: NDArray[np.uint8] | Sequence[Picture],
    *,
    model: str | None = None,
    preprocess: Preprocess = "auto",
    explain: bool = False,
    split: bool = False,
    steps: bool = False,
) -> Call[list[answers.Score]]:
    """Let D judge pictures. The results have the order of the pictures.

    A picture in which no digit is found has a result, too: its `found` is False, and its `reason` says why.

    Args:
        pictures: [n, H, W] or [n, H, W, 3] uint8, or a list of pictures; a call can have up to 64.
        model: the model, as name or name@hash; the default is the service's default model.
        preprocess: the preparation of the pictures. "auto" converts a photo or a drawing to an image like those in
            MNIST; "none" does not change the pictures, which must have the model's size.
        explain: whether each result includes an `explanation`.
        split: whether a picture has a result for each of its digits, in reading order; a call can have up to 256
            results.
        steps: whether each result includes the `steps` of the preparation; a call can then have up to 16 results.

    Raises:
        TypeError: `pictures` is a single file and not a list.
        ValueError: an array does not have the shape or the dtype of a picture.
        OSError: a file cannot be read.
    """
    query = _given({"model": model, "preprocess": preprocess, "explain": explain, "split": split, "steps": steps})
    return Call("POST", "/v1/score", answers.read_scores, {"params": query, "files": _files("files", pictures)})


def project(picture: Picture, *, model: str | None = None, preprocess: Preprocess = "auto") -> Call[answers.Projection]:
    """Find the latent whose image is nearest to a picture. The search takes about a second.

    If no digit is found in the picture, the call raises a `ProblemError` with status 422, which says why.

    Args:
        picture: the picture to search for.
        model: the model, as name or name@hash; the default is the service's default model.
        preprocess: the preparation of the picture, as in `score`.

    Raises:
        ValueError: the array does not have the shape or the dtype of a picture.
        OSError: the file cannot be read.
    """
    content = {"params": _given({"model": model, "preprocess": preprocess}), "files": _files("file", [picture])}
    return Call("POST", "/v1/projections", answers.read_projection, content)


def models() -> Call[answers.Models]:
    """List the models of the service."""
    return Call("GET", "/v1/models", answers.read_models, {})


def _given(asked: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters that are not None. The service has defaults for the others."""
    return {name: value for name, value in asked.items() if value is not None}


def _files(field: str, pictures: Iterable[Picture]) -> list[tuple[str, tuple[str, bytes]]]:
    if isinstance(pictures, str | bytes | PathLike):
        raise TypeError(f"pictures must be an array or a list, not one {type(pictures).__name__}: put it into a list")
    return [(field, _file(place, picture)) for place, picture in enumerate(pictures)]


def _file(place: int, picture: Picture) -> tuple[str, bytes]:
    """Return the name and the bytes of a picture's file."""
    if isinstance(picture, bytes):
        return f"{place}", picture
    if isinstance(picture, str | PathLike):
        name = Path(picture).name.encode("utf-8", "replace").decode()  # it may have bytes that are not UTF-8
        return name, Path(picture).read_bytes()
    if not isinstance(picture, np.ndarray):
        raise ValueError(f"a picture must be a uint8 array, a path or bytes, not a {type(picture).__name__}")
    if picture.dtype != np.uint8 or picture.shape[2:] not in {(), (3,)} or picture.ndim < 2:
        raise ValueError(f"a picture must be [H, W] or [H, W, 3] uint8, not {list(picture.shape)} {picture.dtype}")
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return f"{place}.png", buffer.getvalue()
