"""Which processor the networks run on."""

from typing import Literal, TypeAlias

import torch

from models.errors import DeviceError

DeviceName: TypeAlias = Literal["auto", "cpu", "cuda"]


def resolve_device(name: DeviceName) -> torch.device:
    """The PyTorch device of a name. "auto" is CUDA where PyTorch finds a CUDA device, and the CPU otherwise.

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
    """Whether an error says that no memory was left: Python's, CUDA's, or that of PyTorch's allocator on a CPU."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def release_memory() -> None:
    """Give the CUDA memory that PyTorch caches back to the system. On a CPU PyTorch caches nothing."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
