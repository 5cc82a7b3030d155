"""Weights stored as float16 take half the space, and are converted to float32 when they are loaded."""

from pathlib import Path

import torch

from harness.tiny_models import make_tiny_model_folder
from models.model_folder.read import load_model
from tests.models.support import write_again


def test_float16_in_the_file_is_float32_in_memory(tmp_path: Path) -> None:
    model = load_model(make_tiny_model_folder(tmp_path / "full"))
    write_again(model, tmp_path / "half", dtype=torch.float16)
    half = load_model(tmp_path / "half")
    for name, tensor in model.generator.state_dict().items():
        stored = half.generator.state_dict()[name]
        assert stored.dtype == tensor.dtype
        if tensor.is_floating_point():
            assert torch.equal(stored, tensor.half().float()), name
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("half", "full")]
    assert sizes[0] < 0.6 * sizes[1]
