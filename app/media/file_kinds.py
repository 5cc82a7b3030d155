"""Describes files that are not images of a supported format, by their first bytes, and what to do with them."""

HEAD_BYTES = 4096
"""The number of bytes at the start of a file that are examined."""

_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"mif2", b"msf1"}

_MEDIA_CONTAINERS = (
    ({b"avif", b"avis"}, "is an AVIF picture, which is not read here: save it as PNG or JPEG"),
    (
        _HEIF_BRANDS,
        "is a HEIC picture, which is not read here: export it as JPEG (iPhone: Camera > Formats > Most Compatible)",
    ),
    ({b"crx "}, "is a camera's raw picture, which is not read here: export it as JPEG"),
)

_TIFF = "is a TIFF picture, which is not read here: save it as PNG"
_JPEG_XL = "is a JPEG XL picture, which is not read here: save it as PNG or JPEG"
_JPEG_2000 = "is a JPEG 2000 picture, which is not read here: save it as PNG or JPEG"
_BASE64 = "is the text of a picture in base64, not the picture itself: decode it first"
_BEGINNINGS = {
    b"II*\0": _TIFF,
    b"MM\0*": _TIFF,
    b"II+\0": _TIFF,
    b"MM\0+": _TIFF,
    b"\xff\x0a": _JPEG_XL,
    b"\0\0\0\x0cJXL ": _JPEG_XL,
    b"\0\0\0\x0cjP  ": _JPEG_2000,
    b"\xff\x4f\xff\x51": _JPEG_2000,
    b"%PDF": "is a PDF document, not an image: export its page as PNG",
    b"%!PS": "is a PostScript document, not an image: export it as PNG",
    b"8BPS": "is a Photoshop document, which is not read here: export it as PNG",
    b"\0\0\1\0": "is an icon file (ICO), which is not read here: save it as PNG",
    b"qoif": "is a QOI picture, which is not read here: save it as PNG",
    b"\x76\x2f\x31\x01": "is an OpenEXR picture, which is not read here: save it as PNG",
    b"PK\x03\x04": "is a zip archive or an npz file, not an image: unpack it and send its images",
    b"\x1f\x8b": "is a gzip file, not an image: unpack it first",
    b"\x93NUMPY": "is a NumPy array, not an image: save it as PNG",
    b"\0\0\x08\x03": "is an IDX file of many images: save the images as PNG",
    b"data:image/": _BASE64,
    b"iVBORw0KGgo": _BASE64,
    b"/9j/": _BASE64,
}
_MARKUP = (
    (b"<svg", "is an SVG drawing, not an image of pixels: export it as PNG"),
    (b"<html", "is a web page, not the picture on it: save the picture itself"),
    (b"<!doctype html", "is a web page, not the picture on it: save the picture itself"),
)


def describe_other_kind(data: bytes) -> str | None:
    """Describe a file that cannot be read as an image, such as "is empty"; return None if its kind is not known.

    The description continues a sentence that begins with the file's name.

    Args:
        data: the bytes of the file, or at least the first `HEAD_BYTES` of them.
    """
    head = data[:HEAD_BYTES]
    if not head:
        return "is empty"
    if head[4:8] == b"ftyp":
        return _describe_media_container(head)
    for beginning, reason in _BEGINNINGS.items():
        if head.startswith(beginning):
            return reason
    if head[:1] == b"P" and head[1:2] in b"1234567" and head[2:3].isspace():
        return "is a Netpbm picture, which is not read here: save it as PNG"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith(b"<"):
        return next((reason for tag, reason in _MARKUP if tag in text), None)
    return None


def _describe_media_container(head: bytes) -> str:
    """Describe a file of ISO's base media format. Its first box lists the brands: what the file can be read as."""
    box = head[: int.from_bytes(head[:4], "big")]
    brands = {box[place : place + 4] for place in (8, *range(16, len(box), 4))}
    for known, reason in _MEDIA_CONTAINERS:
        if brands & known:
            return reason
    return "is a video (MP4 or MOV), not an image: save one picture of it as PNG or JPEG"
