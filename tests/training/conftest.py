"""Tests run on the machine's own number of threads, as a person does. Training sets it for the whole process, so each
test gives it back."""

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
