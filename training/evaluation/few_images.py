"""The warning about figures that come from too few real images."""

FEW_IMAGES = 1000
"""With fewer real images, a share such as precision is known to no better than ±0.03, and the distances are too large.
With some tens of images they say nothing: one real image's neighbourhood can hold all samples, so precision is 1."""


def warn_of_few_images(n: int, *, which: str) -> str | None:
    """Return a sentence about the figures of n real images; None if n is large enough.

    Args:
        n: the number of real images that samples are compared with.
        which: name of these images in the sentence; for example, "held-out".
    """
    if n >= FEW_IMAGES:
        return None
    return (
        f"there are only {n} {which} images to compare with: precision, recall, density, coverage and the distances "
        f"are unreliable with fewer than {FEW_IMAGES:,}, and can look perfect by chance"
    )
