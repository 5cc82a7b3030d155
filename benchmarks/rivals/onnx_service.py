"""The service of a person who knows the tools: FastAPI, G in ONNX Runtime on one thread, and our quick PNG encoder.

The latents come from NumPy: they are not those of the plain pictures, because PyTorch is not needed once G is exported.
"""

import os
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from fastapi import FastAPI
from fastapi.responses import Response

from app.media.png import encode_png
from models.grids import assemble_grid
from models.model_folder.read import load_model
from models.networks.folding import fold_batchnorm
from models.networks.quantised import without_rounding

app = FastAPI()
_model = load_model(Path(os.environ["PLAIN_MODEL"]))
_z_dim, _tone_curve = _model.metadata.z_dim, _model.tone_curve


def _session() -> onnxruntime.InferenceSession:
    generator = fold_batchnorm(without_rounding(_model.generator))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
        torch.onnx.export(
            generator,
            (torch.zeros(2, _z_dim),),
            file.name,
            input_names=["latents"],
            output_names=["images"],
            dynamic_axes={"latents": {0: "n"}, "images": {0: "n"}},
            opset_version=17,
            dynamo=False,  # the newer exporter needs onnxscript, and gives the same few operators
        )
        return onnxruntime.InferenceSession(file.name, options, providers=["CPUExecutionProvider"])


_generator = _session()


@app.get("/samples")
def samples(n: int = 64, seed: int = 0) -> Response:
    """Return a PNG grid of n images."""
    latents = np.random.default_rng(seed).standard_normal((n, _z_dim), dtype=np.float32)
    (images,) = _generator.run(None, {"latents": latents})
    pixels = np.rint((images + 1) * 127.5).astype(np.uint8)[:, 0]
    if _tone_curve is not None:
        pixels = _tone_curve(pixels)
    return Response(encode_png(assemble_grid(pixels, padding=0)), media_type="image/png")
