"""A file that is no image of the five formats is told what it is, and its owner what to do."""

import io
import struct
import zlib

import httpx
import numpy as np
import pytest
from PIL import Image

from app.media.uploads import FORMATS, read_upload
from app.problems import Problem
from models.images import ImageShape
from tests.app.checks import assert_problem, png_bytes
from tests.app.media.test_picture_values import rle_bmp

NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (400, 400), dtype=np.uint8))


def saved(form: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (30, 20)).save(buffer, form)
    return buffer.getvalue()


def container(*brands: bytes) -> bytes:
    """The beginning of a file of ISO's base media format."""
    box = brands[0] + bytes(4) + b"".join(brands[1:])
    return struct.pack(">I", 8 + len(box)) + b"ftyp" + box + bytes(100)


KINDS: dict[str, tuple[bytes, str]] = {
    "HEIC": (container(b"heic", b"mif1", b"heic"), "is a HEIC picture, which is not read here: export it as JPEG"),
    "HEIC by its brands": (container(b"mif1", b"heic"), "is a HEIC picture"),
    "HEIC sequence": (container(b"msf1", b"hevc"), "is a HEIC picture"),
    "AVIF": (
        container(b"avif", b"mif1", b"miaf"),
        "is an AVIF picture, which is not read here: save it as PNG or JPEG",
    ),
    "AVIF by its brands": (container(b"mif1", b"avif"), "is an AVIF picture"),
    "a video": (container(b"isom", b"mp41"), "is a video"),
    "a film": (container(b"qt  "), "is a video"),
    "a raw picture": (container(b"crx ", b"isom"), "is a camera's raw picture"),
    "TIFF": (saved("TIFF"), "is a TIFF picture, which is not read here: save it as PNG"),
    "TIFF, large first": (b"MM\0*" + bytes(60), "is a TIFF picture"),
    "BigTIFF": (b"II+\0" + bytes(60), "is a TIFF picture"),
    "SVG": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "is an SVG drawing"),
    "SVG with a head": (b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- x -->\n<svg/>", "is an SVG drawing"),
    "PDF": (b"%PDF-1.7\n" + bytes(60), "is a PDF document, not an image: export its page as PNG"),
    "PostScript": (b"%!PS-Adobe-3.0", "is a PostScript document"),
    "Photoshop": (b"8BPS\0\1" + bytes(60), "is a Photoshop document"),
    "JPEG XL": (b"\xff\x0a" + bytes(60), "is a JPEG XL picture"),
    "JPEG 2000": (saved("JPEG2000"), "is a JPEG 2000 picture"),
    "ICO": (saved("ICO"), "is an icon file"),
    "Netpbm": (saved("PPM"), "is a Netpbm picture"),
    "zip": (b"PK\x03\x04" + bytes(60), "is a zip archive or an npz file, not an image: unpack it"),
    "gzip": (b"\x1f\x8b\x08" + bytes(60), "is a gzip file"),
    "npy": (b"\x93NUMPY\1\0" + bytes(60), "is a NumPy array, not an image: save it as PNG"),
    "IDX": (b"\0\0\x08\x03" + bytes(60), "is an IDX file"),
    "a web page": (b"<!DOCTYPE html><html></html>", "is a web page"),
    "base64": (b"iVBORw0KGgoAAAANSUhEUgAA", "in base64"),
    "a data URL": (b"data:image/png;base64,iVBORw0KGgo", "in base64"),
    "nothing": (b"", "is empty"),
    "text": (b"a note", "is damaged, or not an image that can be read"),
    "XML": (b"<?xml version='1.0'?><a/>", "is damaged, or not an image that can be read"),
    "PNG, cut": (png_bytes(NOISE)[:500], "is a PNG that is damaged, cut off, or of a rare kind"),
    "GIF, cut": (png_bytes(NOISE, "GIF")[:500], "is a GIF that is damaged"),
    "WebP, cut": (png_bytes(NOISE, "WEBP")[:500], "is a WebP that is damaged"),
    "BMP, cut": (png_bytes(NOISE, "BMP")[:500], "is a BMP that is damaged"),
    "JPEG, cut in its head": (png_bytes(NOISE, "JPEG")[:100], "is a JPEG that is damaged"),
    "BMP with 160,000 runs": (rle_bmp(np.asarray(NOISE)), "is a BMP with run-length encoding (RLE)"),
    "BMP with RLE, cut": (rle_bmp(np.asarray(NOISE)[:28, :28])[:1200], "is a BMP with run-length encoding (RLE)"),
    "PNG of noise": (b"\x89PNG\r\n\x1a\n" + zlib.compress(b"x"), "is a PNG that is damaged"),
}


@pytest.mark.parametrize(("data", "text"), KINDS.values(), ids=KINDS)
def test_what_it_is_and_what_to_do(data: bytes, text: str) -> None:
    with pytest.raises(Problem) as raised:
        read_upload(data, filename="x", shape=ImageShape(), preprocess="auto", max_pixels=10**6)
    assert raised.value.status_code == 415
    assert f"'x' {text}" in str(raised.value) or text == "in base64"
    assert text in str(raised.value)
    assert str(raised.value).endswith(f"send one of {', '.join(FORMATS)}")


@pytest.mark.parametrize(("path", "field"), [("/v1/score", "files"), ("/v1/projections", "file")])
def test_every_route_says_so(client: httpx.Client, path: str, field: str) -> None:
    answer = client.post(path, files={field: ("photo.heic", KINDS["HEIC"][0])})
    problem = assert_problem(answer, 415, parameter=field)
    assert "'photo.heic' is a HEIC picture" in problem["detail"]


def test_a_jpeg_without_its_end_marker_is_scored(client: httpx.Client) -> None:
    whole = png_bytes(NOISE, "JPEG")
    answers = [client.post("/v1/score", files={"files": data}).json() for data in (whole, whole[:-2])]
    assert answers[0] == answers[1]
