"""Lists images and their latents for a JSON answer."""

import asyncio

import numpy as np
from numpy.typing import NDArray

from app.api.schemas.samples import Sample
from app.media.png import INLINE_PIXELS, encode_base64_png


def list_samples(latents: NDArray[np.float32], images: NDArray[np.uint8], *, first: int = 0) -> list[Sample]:
    """Return one entry for each row of latents [n, z_dim] and images [n, …] uint8, numbered from `first`."""
    return [
        Sample(index=first + k, latent=latent.tolist(), png=encode_base64_png(image))
        for k, (latent, image) in enumerate(zip(latents, images, strict=True))
    ]


async def list_samples_aside(
    latents: NDArray[np.float32], images: NDArray[np.uint8], *, first: int = 0
) -> list[Sample]:
    """Run `list_samples`, in a thread if there are enough images to block the event loop."""
    if images.size <= INLINE_PIXELS:
        return list_samples(latents, images, first=first)
    return await asyncio.to_thread(list_samples, latents, images, first=first)
