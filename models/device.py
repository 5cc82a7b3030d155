"""Which processor the networks run on."""

from typing import Literal, TypeAlias

import torch

from models.errors import DeviceError

DeviceName: TypeAlias = Literal["auto", "cpu", "cuda"]


def resolve_device(name: DeviceName) -> torch.device:
    """ "auto" is CUDA where there is one, else the CPU; the other names are taken at their word.

    Raises:
        DeviceError: "cuda" where PyTorch finds none.
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
    """Give back what PyTorch keeps for later on CUDA; on a CPU it keeps nothing."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
