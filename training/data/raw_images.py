"""The images of a person's own data as they were read, before some are held out."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.data.labels import Labels


@dataclass(frozen=True)
class RawImages:
    """The images of a folder or a file. Files that cannot be read have no effect on images and labels.

    Attributes:
        images: [N, H, W] uint8 if all images, also those of `test`, are grey, else [N, H, W, 3].
        labels: the class of each image; None if there are none.
        test: the images of a test set beside `images`, such as the folder `test` beside `train`; None: there is none.
        test_labels: the class of each image of `test`.
        skipped: the files that cannot be read, each as "path: reason".
        notes: sentences about the files that were skipped or changed, for the log.
        not_square: the number of pictures that were not square in their files.
        name_of: returns the name of an image's file by its row; None if the images are in one file.
        name_of_test: the same for `test`.
    """

    images: NDArray[np.uint8]
    labels: Labels | None
    test: NDArray[np.uint8] | None = None
    test_labels: Labels | None = None
    skipped: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    not_square: int = 0
    name_of: Callable[[int], str] | None = None
    name_of_test: Callable[[int], str] | None = None
