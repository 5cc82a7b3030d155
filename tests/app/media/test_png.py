"""PNGs of both encoders: every available decoder reads the same pixels back."""

import base64
import io
import shutil
import struct
import subprocess
import zlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser

from app.media import png
from models.grids import assemble_grid, assemble_rows
from tests.browser import needs_chromium

SHAPES = [
    (1, 1),
    (28, 28),
    (7, 300),
    (226, 226),
    (1, 1, 3),
    (28, 28, 3),
    (33, 20, 3),
    (4096, 1),
    (1, 4096, 3),
    (64, 63),
    (64, 64),
    (1, 1, 4),
    (28, 28, 4),
    (33, 40, 4),
]
MODES = {(): "L", (3,): "RGB", (4,): "RGBA"}

PIXELS = """async (address) => {
    const image = new Image();
    image.src = address;
    await image.decode();
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    return Array.from(context.getImageData(0, 0, canvas.width, canvas.height).data);
}"""


@pytest.fixture(params=["isal", "pillow"])
def encoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "pillow":
        monkeypatch.setattr(png, "isal_zlib", None)
    return str(request.param)


def picture(shape: tuple[int, ...], *, kind: str = "noise") -> NDArray[np.uint8]:
    rng = np.random.default_rng(sum(shape))
    noise = rng.integers(0, 256, size=shape, dtype=np.uint8)
    return {"noise": noise, "black": noise * 0, "sparse": noise * (noise > 200)}[kind].astype(np.uint8)


def test_isal_is_at_hand() -> None:
    """`make test` installs it. If it were missing, the tests below would test Pillow twice."""
    assert png.ENCODER == "isal"


@pytest.mark.usefixtures("encoder")
@pytest.mark.parametrize("kind", ["noise", "black", "sparse"])
@pytest.mark.parametrize("shape", SHAPES)
def test_pillow_reads_the_pixels(shape: tuple[int, ...], kind: str) -> None:
    wanted = picture(shape, kind=kind)
    encoded = png.encode_png(wanted)
    with Image.open(io.BytesIO(encoded)) as image:
        assert image.mode == MODES[shape[2:]]
        assert (np.asarray(image) == wanted).all()
    assert encoded == png.encode_png(wanted.copy())


@pytest.mark.usefixtures("encoder")
def test_views_are_read_as_they_look() -> None:
    whole = picture((56, 40))
    for view in (whole[::2, ::-1], whole.T, whole[5:33, 3:31]):
        with Image.open(io.BytesIO(png.encode_png(view))) as image:
            assert (np.asarray(image) == view).all()


@pytest.mark.parametrize(("samples", "colour_type"), [(1, 0), (3, 2), (4, 6)])
def test_chunks_are_what_the_standard_says(samples: int, colour_type: int) -> None:
    """Read by hand: lengths, order, checksums, and rows that begin with filter 0."""
    wanted = picture((28, 20, samples)).squeeze()
    encoded = png.encode_png(wanted)
    assert encoded[:8] == b"\x89PNG\r\n\x1a\n"
    at, chunks = 8, []
    while at < len(encoded):
        length, name = struct.unpack(">I4s", encoded[at : at + 8])
        body = encoded[at + 8 : at + 8 + length]
        (checksum,) = struct.unpack(">I", encoded[at + 8 + length : at + 12 + length])
        assert checksum == zlib.crc32(name + body)
        chunks.append((name, body))
        at += 12 + length
    assert [name for name, _ in chunks] == [b"IHDR", b"IDAT", b"IEND"]
    assert chunks[0][1] == struct.pack(">IIBBBBB", 20, 28, 8, colour_type, 0, 0, 0)
    rows = np.frombuffer(zlib.decompress(chunks[1][1]), dtype=np.uint8).reshape(28, 1 + 20 * samples)
    assert (rows[:, 0] == 0).all()
    assert (rows[:, 1:].reshape(wanted.shape) == wanted).all()


@pytest.mark.parametrize("channels", [(), (3,)])
@pytest.mark.parametrize(("n", "padding", "scale"), [(1, 0, 1), (1, 2, 1), (7, 0, 1), (7, 2, 1), (5, 1, 3)])
@pytest.mark.parametrize("encoder", ["isal", "pillow"])
def test_rows_of_a_grid_are_its_picture(
    monkeypatch: pytest.MonkeyPatch, channels: tuple[int, ...], n: int, padding: int, scale: int, encoder: str
) -> None:
    if encoder == "pillow":
        monkeypatch.setattr(png, "isal_zlib", None)
    images = np.random.default_rng(0).integers(0, 256, (n, 16, 16, *channels), dtype=np.uint8)
    grid = assemble_grid(images, columns=3, padding=padding, scale=scale)
    rows = assemble_rows(images, columns=3, padding=padding, scale=scale)
    assert png.encode_rows(rows, channels=3 if channels else 1) == png.encode_png(grid)
    with Image.open(io.BytesIO(png.encode_png(grid))) as image:
        assert np.array_equal(np.asarray(image), grid)


@pytest.mark.parametrize(("shape", "codes"), [((64, 63), "fixed"), ((64, 64), "own"), ((33, 42, 3), "own")])
def test_small_pictures_take_the_fixed_codes(shape: tuple[int, ...], codes: str) -> None:
    """RFC 1951, 3.2.3: two bits after the first say how a block is coded."""
    encoded = png.encode_png(picture(shape, kind="sparse"))
    block = encoded[encoded.index(b"IDAT") + 6] >> 1 & 3  # after zlib's two bytes
    assert block == {"fixed": 1, "own": 2}[codes]


@pytest.mark.skipif(shutil.which("pngcheck") is None, reason="no pngcheck")
@pytest.mark.parametrize("shape", SHAPES)
def test_pngcheck_finds_nothing(shape: tuple[int, ...], tmp_path: Path) -> None:
    file = tmp_path / "it.png"
    file.write_bytes(png.encode_png(picture(shape)))
    done = subprocess.run(["pngcheck", "-v", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "No errors detected" in done.stdout


@needs_chromium
def test_chromium_reads_the_pixels(browser: Browser) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        for shape in (shape for shape in SHAPES if shape[2:] != (4,)):  # a canvas multiplies by alpha, and rounds
            wanted = picture(shape)
            address = "data:image/png;base64," + base64.b64encode(png.encode_png(wanted)).decode()
            seen = np.array(page.evaluate(PIXELS, address)).reshape(*shape[:2], 4)
            grey = wanted[..., None].repeat(3, axis=2) if wanted.ndim == 2 else wanted
            assert (seen[..., :3] == grey).all(), shape
            assert (seen[..., 3] == 255).all()
