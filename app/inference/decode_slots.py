"""Slots for decoding uploads: they limit how many requests decode at once, and how many pixels wait."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

AT_ONCE = 2
"""The most requests that decode at once: an image of 40 million pixels may take 500 MB while it is decoded."""


class TooManyPixelsError(Exception):
    """The uploads that wait or are being decoded already have as many pixels as are allowed."""


class Decoders:
    """Lets at most `AT_ONCE` requests decode at once, and limits the pixels of those that decode or wait.

    Args:
        max_pixels: the most pixels that may wait or be decoded; a request that is alone may have more.
    """

    def __init__(self, *, max_pixels: int) -> None:
        self._max_pixels = max_pixels
        self._pixels = 0
        self._free = asyncio.Semaphore(AT_ONCE)

    @asynccontextmanager
    async def turn(self, pixels: int) -> AsyncIterator[None]:
        """Wait for a slot, and hold it while the context is open.

        Args:
            pixels: the number of pixels that the caller decodes.

        Raises:
            TooManyPixelsError: too many pixels wait already.
        """
        if self._pixels and self._pixels + pixels > self._max_pixels:
            raise TooManyPixelsError
        self._pixels += pixels
        try:
            async with self._free:
                yield
        finally:
            self._pixels -= pixels
