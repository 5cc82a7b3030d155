"""The device that the networks run on: CPU, CUDA, or the GPU of an Apple computer (mps, Metal Performance Shaders)."""

from typing import Literal, TypeAlias

import torch

from models.errors import DeviceError

DeviceKind: TypeAlias = Literal["cpu", "cuda", "mps"]
DeviceName: TypeAlias = Literal["auto", DeviceKind]


def resolve_device(name: DeviceName) -> torch.device:
    """Return the PyTorch device of a name. "auto" is CUDA if PyTorch finds a CUDA device, and the CPU otherwise.

    "auto" is never mps, because no code of this project has been run on it: a person must ask for it.

    Raises:
        DeviceError: the name is "cuda" or "mps", and PyTorch finds no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise DeviceError(
            f"device 'cuda' was asked for, but torch {torch.__version__} finds no CUDA device; use 'cpu' or 'auto'"
        )
    if name == "mps" and not torch.backends.mps.is_available():
        raise DeviceError(
            f"device 'mps' was asked for, but torch {torch.__version__} finds no GPU of Apple here: it needs a Mac "
            "with macOS and a build of torch for it; use 'cpu' or 'auto'"
        )
    return torch.device(name)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out: in Python, in CUDA, or in PyTorch's allocator for the CPU or mps."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(
        words in str(error) for words in ("can't allocate memory", "MPS backend out of memory")
    )


def release_memory() -> None:
    """Give the memory of a GPU that PyTorch caches back to the system. PyTorch caches no CPU memory."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()
