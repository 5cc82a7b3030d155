"""The device that the networks run on: CPU or CUDA."""

from typing import Literal, TypeAlias

import torch

from models.errors import DeviceError

DeviceName: TypeAlias = Literal["auto", "cpu", "cuda"]


def resolve_device(name: DeviceName) -> torch.device:
    """Return the PyTorch device of a name. "auto" is CUDA if PyTorch finds a CUDA device, and the CPU otherwise.

    Raises:
        DeviceError: the name is "cuda", and PyTorch finds no CUDA device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise DeviceError(
            f"device 'cuda' was asked for, but torch {torch.__version__} finds no CUDA device; use 'cpu' or 'auto'"
        )
    return torch.device(name)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out: in Python, in CUDA, or in PyTorch's allocator for the CPU."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def release_memory() -> None:
    """Give the CUDA memory that PyTorch caches back to the system. PyTorch caches no CPU memory."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
