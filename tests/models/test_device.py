"""`resolve_device` gives the requested device, or raises a clear error."""

import pytest
import torch

from models.device import DeviceName, is_out_of_memory, resolve_device
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


def test_mps_is_taken_only_if_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert resolve_device("auto") == torch.device("cpu")
    assert resolve_device("mps") == torch.device("mps")


def test_mps_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(DeviceError, match=r"'mps' was asked for.*finds no GPU of Apple.*use 'cpu' or 'auto'"):
        resolve_device("mps")


def test_no_memory_on_mps() -> None:
    assert is_out_of_memory(RuntimeError("MPS backend out of memory (MPS allocated: 9.00 GB, other allocations: 0)"))
    assert not is_out_of_memory(RuntimeError("MPS backend is broken"))
