"""The program of docs/onnx.md draws the service's picture with NumPy and ONNX Runtime alone."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models import bundled_models_dir
from models.inference.sampler import Sampler
from models.model_folder.read import load_model
from tests.docs.documents import examples
from training.onnx_export.write import generator_file

WITHOUT = "import sys; sys.modules.update(dict.fromkeys(['torch', 'models', 'onnx', 'PIL', 'scipy']))\n"
"""Makes an import of these fail."""


@pytest.mark.slow
def test_the_example_draws_a_three(tmp_path: Path) -> None:
    (example,) = [block for block in examples() if block.document == "docs/onnx.md"]
    model = load_model(bundled_models_dir() / "mnist-conv")
    (tmp_path / "digits.onnx").write_bytes(generator_file(model))
    (tmp_path / "example.py").write_text(WITHOUT + "\n".join(example.lines), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-I", "example.py"], cwd=tmp_path, env={}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    with Image.open(tmp_path / "three.png") as picture:
        seen = np.asarray(picture)
    wanted = Sampler.of_model(model)(model.draw_latents(7, 0, 1, label=3))[0]
    apart = np.abs(seen.astype(int) - wanted)
    assert apart.max() <= 2  # the tone curve may make two levels of one
    assert (apart > 0).mean() < 0.01
