"""Reads a JPEG whose end marker is missing, if its picture is whole.

Some cameras and cut transfers leave the two bytes of the end marker out, and browsers show such a picture. They also
show a picture of which half is missing, and leave the rest grey. We do not: D's score of it would be wrong without a
word.
"""

import io

from PIL import Image, ImageChops

END = b"\xff\xd9"
"""The marker at the end of a JPEG (EOI)."""

_FILLER = b"\x5a" * 4096
"""Bytes in the place of the missing ones. If they change no pixel, none that is missing would."""


def with_end(data: bytes) -> bytes | None:
    """Return a JPEG with its end marker added, or None if a part of its picture is missing.

    The picture is decoded twice, with two different continuations. Pixels that depend on missing bytes differ.

    Raises:
        OSError, SyntaxError or ValueError: the file is damaged in other ways.
    """
    rest = data.rstrip(b"\xff")
    ended = rest + END
    one, other = (Image.open(io.BytesIO(file), formats=["JPEG"]) for file in (ended, rest + _FILLER + END))
    whole = ImageChops.difference(one, other).getbbox() is None
    return ended if whole else None
