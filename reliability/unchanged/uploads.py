"""Requests with files: pictures made of seeded noise and strokes, in every format, and files that are not pictures."""

import io
from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from reliability.unchanged.http_cases import Case

SCORE, PROJECTIONS = "/v1/score", "/v1/projections"
BOUNDARY = "a-fixed-boundary"
STRANGE_NAME = "ü \\.png"

Part = tuple[str, str, bytes]
"""The field, the name of the file (empty for a text), and the content."""


def uploads(models: list[str]) -> list[Case]:
    """Return requests with files that take little time each."""
    pictures = _pictures()
    digit = pictures["digit.png"]
    each = [_form(SCORE, [("files", name, data)], note=name) for name, data in (pictures | _no_pictures()).items()]
    exact = [_form(f"{SCORE}?preprocess=none", [("files", name, data)], note=name) for name, data in pictures.items()]
    scored = [
        _form(f"{SCORE}?model={model}&preprocess={preprocess}&explain={explain}", [("files", "digit.png", digit)])
        for model, preprocess, explain in product(models, ("auto", "none"), ("true", "false"))
    ]
    photos = [
        _form(f"{SCORE}?{query}", [("files", name, data)], note=name)
        for query in ("split=true", "steps=true", "split=1&steps=1&explain=1", "split=true&preprocess=none")
        for name, data in pictures.items()
    ]
    return [*each, *exact, *scored, *photos, *_several(pictures), *_bad_forms(digit)]


def projections(models: list[str]) -> list[Case]:
    """Return requests for projections, which take about a second each."""
    pictures = _pictures()
    each = [_form(f"{PROJECTIONS}?model={model}", [("file", "a.png", pictures["drawing.png"])]) for model in models]
    strange = _form(f"{PROJECTIONS}?model=mnist-mlp&unknown=1", [("file", STRANGE_NAME, pictures["photo.jpg"])])
    exact = _form(PROJECTIONS, [("preprocess", "", b"none"), ("file", "digit.png", pictures["digit.png"])])
    return [*each, strange, exact]


def _several(pictures: dict[str, bytes]) -> list[Case]:
    """Return requests with more than one file or field in a form."""
    all_files: list[Part] = [("files", name, data) for name, data in pictures.items()]
    digits: list[Part] = [("files", f"{k}.png", pictures["digit.png"]) for k in range(65)]
    first = digits[:1]
    return [
        _form(SCORE, all_files, note="all pictures"),
        _form(f"{SCORE}?explain=1", all_files, note="all pictures"),
        _form(SCORE, digits[:64], note="64 files"),
        _form(SCORE, digits, note="65 files"),
        _form(f"{SCORE}?steps=true", digits[:16], note="16 files"),
        _form(f"{SCORE}?steps=true", digits[:17], note="17 files"),
        _form(SCORE, [*first, ("files", "broken.png", b"x")], note="one is broken"),
        *(
            _form(SCORE, [(name, "", value), *first], note=f"{name}={value.decode()} in the form")
            for name, value in (
                *(("model", b"mnist-mlp"), ("model", b"nobody"), ("preprocess", b"none"), ("preprocess", b"x")),
                *(("explain", b"true"), ("explain", b"x"), ("other", b"x"), ("model", b"")),
                *(("split", b"true"), ("split", b"x"), ("steps", b"true"), ("steps", b"x")),
            )
        ),
        _form(f"{SCORE}?model=mnist-mlp", [("model", "", b"mnist-conv"), *first], note="the query and the form differ"),
    ]


def _bad_forms(digit: bytes) -> list[Case]:
    file: Part = ("files", "digit.png", digit)
    queries = ("preprocess=x", "preprocess=", "model=nobody", "model=" + "x" * 101)
    bad = [_form(f"{path}?{query}", [(field, *file[1:])]) for path, field in _FIELDS for query in queries]
    bad += [
        _form(f"{SCORE}?{query}", [file])
        for query in ("explain=x", "explain=", "split=x", "steps=", "model=", "unknown=1")
    ]
    bad.append(_form(SCORE, [("files", STRANGE_NAME, digit)], note="a strange name"))
    for path, field in _FIELDS:
        bad += [
            _form(path, [], note="an empty form"),
            _form(path, [("other", *file[1:])], note="another field"),
            _form(path, [(field, "", b"text")], note="a text"),
            _form(path, [(field, "a.png", digit), (field, "", b"text")], note="a file and a text"),
            _form(path, [("model", "a.png", digit), (field, "a.png", digit)], note="a file for the model"),
            _form(path, [(field, "", b"x")] * 20, note="too many fields"),
            _form(path, [(field, "n" * 1000, b"x")], note="a long name"),
            Case(path, "POST", note="no body"),
            Case(path, "POST", (("Content-Type", "application/json"),), b"{}", note="JSON"),
            Case(path, "POST", (("Content-Type", "multipart/form-data"),), b"x", note="no boundary"),
            Case(path, "POST", (("Content-Type", "multipart/form-data; boundary=b"),), b"x", note="no form"),
            Case(
                path, "POST", (("Content-Type", "application/x-www-form-urlencoded"),), b"files=x", note="a flat form"
            ),
        ]
    two: list[Part] = [("file", "a.png", digit), ("file", "b.png", digit)]
    return [
        *bad,
        _form(PROJECTIONS, two, note="two files"),
        _form(PROJECTIONS, [("file", "a.png", b"x")], note="broken"),
    ]


_FIELDS = ((SCORE, "files"), (PROJECTIONS, "file"))


def _form(target: str, parts: Sequence[Part], note: str = "") -> Case:
    """Return a form as multipart/form-data, the same bytes each time."""
    lines = []
    for field, filename, content in parts:
        named = f'; filename="{filename}"\r\nContent-Type: application/octet-stream' if filename else ""
        lines.append(
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"{named}\r\n\r\n'.encode() + content
        )
    body = b"\r\n".join([*lines, f"--{BOUNDARY}--\r\n".encode()])
    return Case(target, "POST", (("Content-Type", f"multipart/form-data; boundary={BOUNDARY}"),), body, note)


def _pictures() -> dict[str, bytes]:
    """Return valid files by their names."""
    rng = np.random.default_rng(2014)
    noise = rng.integers(0, 256, (28, 28), dtype=np.uint8)
    digit = 255 - _drawing(28, 28, width=3)
    photo = np.clip(_drawing(120, 90, width=8)[..., None] + rng.normal(0, 12, (120, 90, 3)), 0, 255).astype(np.uint8)
    ink = np.dstack([np.zeros((40, 50, 3), np.uint8), 255 - _drawing(40, 50, width=4)])
    deep = Image.fromarray(_drawing(30, 30, width=3).astype(np.uint16) * 257)
    rotated = Image.Exif()
    rotated[0x0112] = 6
    return {
        "noise.png": _encoded(noise, "PNG"),
        "digit.png": _encoded(digit, "PNG"),
        "drawing.png": _encoded(_drawing(80, 100, width=6), "PNG"),
        "transparent.png": _encoded(ink, "PNG"),
        "deep.png": _saved(deep, "PNG"),
        "blank.png": _encoded(np.full((50, 50), 255, np.uint8), "PNG"),
        "one-pixel.png": _encoded(np.zeros((1, 1), np.uint8), "PNG"),
        "bilevel.png": _saved(Image.fromarray(_drawing(28, 28, width=3)).convert("1"), "PNG"),
        "palette.png": _saved(Image.fromarray(photo).convert("P"), "PNG"),
        "large.png": _encoded(_drawing(2500, 2100, width=150), "PNG"),
        "photo.jpg": _encoded(photo, "JPEG"),
        "rotated.jpg": _saved(Image.fromarray(photo), "JPEG", exif=rotated.tobytes()),
        "cmyk.jpg": _saved(Image.fromarray(photo).convert("CMYK"), "JPEG"),
        "photo.webp": _encoded(photo, "WEBP"),
        "digit.gif": _encoded(digit, "GIF"),
        "digit.bmp": _encoded(digit, "BMP"),
    }


def _no_pictures() -> dict[str, bytes]:
    """Return files that are refused, by their names."""
    whole = _encoded(_drawing(60, 60, width=5), "PNG")
    return {
        "empty.png": b"",
        "text.txt": b"no picture",
        "cut.png": whole[: len(whole) // 2],
        "picture.tiff": _encoded(_drawing(28, 28, width=3), "TIFF"),
        "head.png": whole[:33],
        "too-large.png": whole[:16] + (100_000).to_bytes(4) * 2 + whole[24:],
    }


def _drawing(height: int, width_of_page: int, *, width: int) -> NDArray[np.uint8]:
    """Draw a dark ring and a stroke on white paper, [height, width_of_page] uint8."""
    y, x = np.mgrid[0:height, 0:width_of_page]
    radius = np.hypot(y - height * 0.45, x - width_of_page * 0.5)
    ring = abs(radius - min(height, width_of_page) * 0.22) < width / 2
    stroke = (abs(x - width_of_page * 0.62) < width / 2) & (y > height * 0.45) & (y < height * 0.85)
    return np.where(ring | stroke, 30, 255).astype(np.uint8)


def _encoded(pixels: NDArray[np.uint8], form: str) -> bytes:
    return _saved(Image.fromarray(pixels), form)


def _saved(image: Image.Image, form: str, **options: bytes) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()
