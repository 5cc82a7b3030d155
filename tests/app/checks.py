"""Checks and small conversions that several tests share."""

import base64
import io
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageSequence

TURN_TO_FILE = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""What a camera that was held in another way does to the upright picture, by the orientation that it writes."""


def pixels(png: bytes) -> NDArray[np.uint8]:
    """The pixels of a PNG, decoded by Pillow."""
    with Image.open(io.BytesIO(png)) as image:
        assert image.format == "PNG"
        return np.asarray(image).copy()


def animation_frames(data: bytes, form: str) -> NDArray[np.uint8]:
    """The frames of an animation, [n, H, W, 3], decoded by Pillow."""
    with Image.open(io.BytesIO(data)) as image:
        assert image.format == form.upper()
        return np.stack([np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(image)])


def json_images(answer: dict[str, Any]) -> NDArray[np.uint8]:
    """The images of a JSON answer."""
    return np.stack([pixels(base64.b64decode(sample["png"])) for sample in answer["samples"]])


def png_bytes(picture: NDArray[Any] | Image.Image, form: str = "PNG", **options: Any) -> bytes:
    """A picture as a file."""
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    buffer = io.BytesIO()
    image.save(buffer, format=form, **options)
    return buffer.getvalue()


def drawn_seven() -> bytes:
    """A drawing of a 7, in which every preparation finds a digit: a PNG of 120 × 160 pixels."""
    page = Image.new("L", (120, 160), 255)
    ImageDraw.Draw(page).line([(35, 45), (85, 45), (55, 120)], fill=0, width=9, joint="curve")
    return png_bytes(page)


def assert_problem(
    response: httpx.Response, status: int, *, parameter: str | None = None, text: str = ""
) -> dict[str, Any]:
    """The response is a problem document of this status, naming this parameter; returns it."""
    assert response.status_code == status, response.text[:500]
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert problem["status"] == status
    assert problem["type"].startswith("urn:gan:problem:")
    assert problem["title"]
    assert text in problem["detail"]
    if parameter is not None:
        assert parameter in [error["parameter"] for error in problem["errors"]]
    return problem


def close(a: NDArray[np.uint8], b: NDArray[np.uint8], levels: float) -> bool:
    """Whether two pictures differ by at most so many grey levels, on average."""
    return bool(np.abs(a.astype(int) - b).mean() <= levels)
