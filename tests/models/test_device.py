"""`resolve_device` gives the requested device, or raises a clear error."""

import pytest
import torch

from models.device import DeviceName, resolve_device
from models.errors import DeviceError


@pytest.mark.parametrize(
    ("name", "cuda", "device"),
    [
        ("auto", False, "cpu"),
        ("auto", True, "cuda"),
        ("cpu", False, "cpu"),
        ("cpu", True, "cpu"),
        ("cuda", True, "cuda"),
    ],
)
def test_what_is_asked_for(monkeypatch: pytest.MonkeyPatch, name: DeviceName, cuda: bool, device: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    assert resolve_device(name) == torch.device(device)


def test_cuda_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceError, match=r"'cuda' was asked for.*finds no CUDA device; use 'cpu' or 'auto'"):
        resolve_device("cuda")
