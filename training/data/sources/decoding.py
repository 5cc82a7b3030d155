"""Decodes pictures in their order: one after the other or, where one takes long, several at once in threads."""

import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

from training.data.image_file import ImageFile, UnreadableError, read_image_file
from training.data.reading import Fit
from training.data.sources.picture_list import PictureList

TRIED = 64
"""The number of pictures after which it is decided whether threads are used."""

SLOW_S = 0.002
"""Threads are used if a picture takes longer. The time of small ones is that of Python, of which one thread runs."""

MAX_THREADS = 8
AHEAD = 4
"""The number of pictures that wait for each thread: each is in memory, still encoded or as a square."""


def decode_pictures(
    pictures: PictureList, side: int | None, fit: Fit | None
) -> Iterator[tuple[int, ImageFile | UnreadableError]]:
    """Yield the index of each picture, and the picture or the reason why it cannot be read; see `read_image_file`."""

    def decode(index: int) -> ImageFile | UnreadableError:
        try:
            return read_image_file(pictures.open(index), side, fit)
        except UnreadableError as error:
            return error

    indices = iter(range(len(pictures)))
    started = time.perf_counter()
    for index in islice(indices, TRIED):
        yield index, decode(index)
    threads = min(MAX_THREADS, os.cpu_count() or 1)
    if threads > 1 and time.perf_counter() - started > SLOW_S * TRIED:
        yield from _in_threads(pictures, side, fit, indices, threads=threads)
    else:
        for index in indices:
            yield index, decode(index)


def _in_threads(
    pictures: PictureList, side: int | None, fit: Fit | None, indices: Iterator[int], *, threads: int
) -> Iterator[tuple[int, ImageFile | UnreadableError]]:
    """Yield the same as `decode_pictures`. Pictures are opened in this thread, because archives are read in order."""
    waiting: deque[tuple[int, Callable[[], ImageFile]]] = deque()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="decoding")
    try:
        while True:
            for index in islice(indices, threads * AHEAD - len(waiting)):
                waiting.append((index, _begin(pool, pictures, index, side, fit)))
            if not waiting:
                return
            index, result = waiting.popleft()
            try:
                yield index, result()
            except UnreadableError as error:
                yield index, error
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(
    pool: ThreadPoolExecutor, pictures: PictureList, index: int, side: int | None, fit: Fit | None
) -> Callable[[], ImageFile]:
    """Begin to decode a picture, and return the function that waits for it."""
    try:
        future = pool.submit(read_image_file, pictures.open(index), side, fit)
    except UnreadableError as error:
        future = Future()
        future.set_exception(error)
    return future.result
