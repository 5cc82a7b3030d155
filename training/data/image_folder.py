"""Images from a folder: PNG, JPEG, WebP, GIF and BMP files in it and below it, in the order of their paths."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from training.errors import DataError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp"})
GREY_MODES = frozenset({"1", "L", "LA"})


@dataclass(frozen=True)
class FolderImages:
    """The images of a folder. Files that cannot be read have no effect on `images` and `labels`.

    Attributes:
        images: [N, H, W] uint8 if all of them are grey, else [N, H, W, 3].
        labels: [N] int64, the place of each image's top sub-folder in the sorted list of their names; None if an image
            is in no sub-folder, or if there is only one sub-folder.
        skipped: the files that cannot be read, each as "path: reason".
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64] | None
    skipped: tuple[str, ...]


def read_image_folder(path: Path, side: int | None, *, strict: bool = False) -> FolderImages:
    """Read all images of a folder that can be read.

    Args:
        path: the folder.
        side: crop each image's middle square and resize it to this many pixels a side; None requires that all
            images have the same size already.
        strict: stop at the first file that cannot be read.

    Raises:
        DataError: there are no images, none can be read, an image has another size, or, if `strict`, a file cannot be
            read. The message names the first such file.
    """
    found = _files(path)
    if not found:
        raise DataError(f"{path} holds no images ({', '.join(sorted(SUFFIXES))}): give another folder")
    files: list[Path] = []
    opened: list[NDArray[np.uint8]] = []
    skipped: list[str] = []
    for file in found:
        try:
            opened.append(_read(file, side))
            files.append(file)
        except _UnreadableError as error:
            if strict:
                raise DataError(
                    f"{_name(file)} cannot be read as an image: {error}; repair it or take it out of the folder"
                ) from error
            skipped.append(f"{_name(file)}: {error}")
    if not files:
        raise DataError(f"none of the {len(found)} images in {path} can be read; the first is {skipped[0]}")
    if any(image.ndim == 3 for image in opened):
        opened = [image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2) for image in opened]
    for file, image in zip(files, opened, strict=True):
        if image.shape != opened[0].shape:
            raise DataError(
                f"{_name(file)} is {image.shape[1]} × {image.shape[0]} pixels, but {files[0].name} is "
                f"{opened[0].shape[1]} × {opened[0].shape[0]}: use `--set image_side=32` to crop and resize all images"
            )
    return FolderImages(np.stack(opened), _labels(path, files), tuple(skipped))


def resize(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Return the middle square of an image [H, W] or [H, W, 3] uint8, resized to `side` pixels a side."""
    fitted = ImageOps.fit(Image.fromarray(image), (side, side), method=Image.Resampling.LANCZOS)
    return np.asarray(fitted, dtype=np.uint8)


def _files(path: Path) -> list[Path]:
    return sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())


def _labels(path: Path, files: list[Path]) -> NDArray[np.int64] | None:
    names = [file.relative_to(path).parts[0] for file in files if len(file.relative_to(path).parts) > 1]
    kinds = sorted(set(names))
    if len(names) < len(files) or len(kinds) < 2:
        return None
    return np.array([kinds.index(name) for name in names], dtype=np.int64)


class _UnreadableError(Exception):
    """A file cannot be read as an image; the message says why."""


def _read(file: Path, side: int | None) -> NDArray[np.uint8]:
    try:
        with Image.open(file) as opened:
            upright = ImageOps.exif_transpose(opened)
            if upright.mode.startswith("I;16"):  # Pillow would clip 16 bits instead of scaling them
                image = (np.asarray(upright) >> 8).astype(np.uint8)
            else:
                image = np.asarray(upright.convert("L" if upright.mode in GREY_MODES else "RGB"), dtype=np.uint8)
        return image if side is None else resize(image, side)
    except MemoryError:  # the machine lacks memory; the file may be good
        raise
    except UnidentifiedImageError as error:
        raise _UnreadableError("it is not an image of a known kind") from error
    except OSError as error:
        raise _UnreadableError(error.strerror or str(error)) from error
    except Exception as error:  # Pillow's decoders raise many kinds of errors for damaged files
        raise _UnreadableError(f"{error}" or type(error).__name__) from error


def _name(file: Path) -> str:
    """Return a path as one printable line of text, for a terminal and a log."""
    return str(file) if str(file).isprintable() else ascii(str(file))
