"""Imports that libraries put off until they are first needed.

A request that sets one off takes longer, and fails if no file descriptor is free at that moment. `app.main` does these
imports at the start instead. One is left to the first projection: PyTorch's `torch._dynamo`, which costs each process
70 MB and two seconds.
"""

from importlib import import_module

import anyio.to_thread
from PIL import Image


async def import_late_parts() -> None:
    """Import what requests need: Pillow's file formats, NumPy's masked arrays, and anyio's backend for asyncio."""
    await anyio.to_thread.run_sync(_import)  # this itself imports the backend


def _import() -> None:
    Image.init()
    import_module("numpy.ma")  # for `np.unique`
