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
