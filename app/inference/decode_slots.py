"""Turns of the requests whose uploads are decoded: a few at a time, and no more in wait than are soon done."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

AT_ONCE = 2
"""An image of 40 million pixels may take 500 MB while it is decoded."""


class TooManyPixelsError(Exception):
    """As many pixels wait as may."""


class Decoders:
    """Hands out turns.

    Args:
        max_pixels: that may wait or be decoded; a request by itself may have more.
    """

    def __init__(self, *, max_pixels: int) -> None:
        self._max_pixels = max_pixels
        self._pixels = 0
        self._free = asyncio.Semaphore(AT_ONCE)

    @asynccontextmanager
    async def turn(self, pixels: int) -> AsyncIterator[None]:
        """Wait for a turn, and hold it.

        Raises:
            TooManyPixelsError: too many wait already.
        """
        if self._pixels and self._pixels + pixels > self._max_pixels:
            raise TooManyPixelsError
        self._pixels += pixels
        try:
            async with self._free:
                yield
        finally:
            self._pixels -= pixels
