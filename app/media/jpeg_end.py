"""Completes a JPEG whose end marker is missing, if its picture is whole.

Some cameras and cut transfers leave the two bytes of the end marker out, and browsers show such a picture. They also
show a picture of which half is missing, and leave the rest grey. This service refuses it, because D's score would be
wrong without a warning.
"""

import io

from PIL import Image, ImageChops

END = b"\xff\xd9"
"""The marker at the end of a JPEG (EOI)."""

_FILLER = b"\x5a" * 4096
"""Arbitrary bytes that are put where bytes may be missing. If they change no pixel, the picture is whole."""


def with_end(data: bytes) -> bytes | None:
    """Add the end marker to a JPEG without one. Return None if a part of its picture is missing, too.

    The file is decoded twice: once with the end marker added, and once with arbitrary bytes before the marker. A pixel
    that depends on missing bytes differs between the two pictures.

    Args:
        data: the bytes of the JPEG file.

    Returns:
        The bytes of the completed file, or None.

    Raises:
        OSError, SyntaxError or ValueError: the file is damaged in other ways.
    """
    rest = data.rstrip(b"\xff")
    ended = rest + END
    one, other = (Image.open(io.BytesIO(file), formats=["JPEG"]) for file in (ended, rest + _FILLER + END))
    whole = ImageChops.difference(one, other).getbbox() is None
    return ended if whole else None
