"""Images from a folder: PNG, JPEG, WebP, GIF and BMP files in it and below it, in the order of their paths."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from training.errors import DataError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp"})
GREY_MODES = frozenset({"1", "L", "LA"})


def read_image_folder(path: Path, side: int | None) -> NDArray[np.uint8]:
    """All images of a folder: [N, H, W] uint8 if every one is grey, else [N, H, W, 3].

    Args:
        path: the folder.
        side: crop each image's middle square and resize it to so many pixels a side; None wants all images to be of
            one size already.

    Raises:
        DataError: names the first file that cannot be read or is of another size.
    """
    files = _files(path)
    if not files:
        raise DataError(f"{path} holds no images ({', '.join(sorted(SUFFIXES))})")
    opened = [_read(file, side) for file in files]
    if any(image.ndim == 3 for image in opened):
        opened = [image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2) for image in opened]
    for file, image in zip(files, opened, strict=True):
        if image.shape != opened[0].shape:
            raise DataError(
                f"{file} is {image.shape[1]} × {image.shape[0]} pixels, {files[0].name} {opened[0].shape[1]} × "
                f"{opened[0].shape[0]}: `--set image_side=32` crops and resizes them all"
            )
    return np.stack(opened)


def read_folder_labels(path: Path) -> NDArray[np.int64] | None:
    """The label of each image of a folder, in the same order: the number of its first sub-folder, by name; [N] int64.

    None where there is an image in no sub-folder, or only one of these.
    """
    files = _files(path)
    names = [file.relative_to(path).parts[0] for file in files if len(file.relative_to(path).parts) > 1]
    kinds = sorted(set(names))
    if len(names) < len(files) or len(kinds) < 2:
        return None
    return np.array([kinds.index(name) for name in names], dtype=np.int64)


def resize(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """The middle square of an image [H, W] or [H, W, 3] uint8, resized to `side` pixels a side."""
    fitted = ImageOps.fit(Image.fromarray(image), (side, side), method=Image.Resampling.LANCZOS)
    return np.asarray(fitted, dtype=np.uint8)


def _files(path: Path) -> list[Path]:
    return sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())


def _read(file: Path, side: int | None) -> NDArray[np.uint8]:
    try:
        with Image.open(file) as opened:
            upright = ImageOps.exif_transpose(opened)
            if upright.mode.startswith("I;16"):  # Pillow would clip 16 bits, not scale them
                image = (np.asarray(upright) >> 8).astype(np.uint8)
            else:
                image = np.asarray(upright.convert("L" if upright.mode in GREY_MODES else "RGB"), dtype=np.uint8)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"{file} cannot be read as an image: {error}; mend it or take it out of the folder") from error
    return image if side is None else resize(image, side)
