"""PNG framing: Pillow reads the pixels back, and each chunk has its own checksum."""

import io
import zlib

import numpy as np
import pytest
from PIL import Image

from models.png_framing import SIGNATURE, as_rows, frame

MODES = {1: "L", 3: "RGB", 4: "RGBA"}


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_reader_finds_the_pixels(channels: int) -> None:
    picture = np.random.default_rng(channels).integers(0, 256, (28, 20, channels), dtype=np.uint8)
    encoded = frame(zlib.compress(as_rows(picture).data), width=20, height=28, channels=channels)
    assert encoded.startswith(SIGNATURE)
    with Image.open(io.BytesIO(encoded)) as image:
        assert image.mode == MODES[channels]
        assert np.array_equal(np.asarray(image).reshape(picture.shape), picture)


def test_checksums_cover_name_and_data() -> None:
    encoded = frame(zlib.compress(bytes(2)), width=1, height=1, channels=1)
    at, names = len(SIGNATURE), []
    while at < len(encoded):
        end = at + 8 + int.from_bytes(encoded[at : at + 4])
        names.append(encoded[at + 4 : at + 8])
        assert int.from_bytes(encoded[end : end + 4]) == zlib.crc32(encoded[at + 4 : end])
        at = end + 4
    assert names == [b"IHDR", b"IDAT", b"IEND"]


def test_another_crc32_is_used_for_the_pixels() -> None:
    def wrong(data: bytes, value: int) -> int:
        return (zlib.crc32(data, value) + 1) % 2**32

    deflated = zlib.compress(bytes(2))
    right = frame(deflated, width=1, height=1, channels=1)
    assert right != frame(deflated, width=1, height=1, channels=1, crc32=wrong)


def test_rows_begin_with_filter_0() -> None:
    picture = np.arange(1, 13, dtype=np.uint8).reshape(2, 2, 3)
    assert as_rows(picture).tolist() == [[0, 1, 2, 3, 4, 5, 6], [0, 7, 8, 9, 10, 11, 12]]
    assert as_rows(picture[..., 0]).tolist() == [[0, 1, 4], [0, 7, 10]]
