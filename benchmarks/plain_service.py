"""The service that a person writes in ten minutes: FastAPI, eager G, Pillow, a `def` route.

The environment variable PLAIN_MODEL names the model folder.
"""

import io
import os
from pathlib import Path

import numpy as np
import torch
from fastapi import FastAPI
from fastapi.responses import Response
from PIL import Image

from models.folder import load_model
from models.grids import default_columns

app = FastAPI()
model = load_model(Path(os.environ["PLAIN_MODEL"]))


@app.get("/samples")
def samples(n: int = 64, seed: int = 0) -> Response:
    """A PNG grid of n images; the noise is PyTorch's, G is as it was trained, batch normalisation and all."""
    z = torch.randn(n, model.metadata.z_dim, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        images = model.generator(z)
    pixels = ((images + 1) * 127.5).round().to(torch.uint8)[:, 0].numpy()
    columns = default_columns(n)
    height, width = pixels.shape[1:]
    grid = np.zeros((-(-n // columns) * height, columns * width), dtype=np.uint8)
    for k, picture in enumerate(pixels):
        top, left = k // columns * height, k % columns * width
        grid[top : top + height, left : left + width] = picture
    buffer = io.BytesIO()
    Image.fromarray(grid).save(buffer, format="PNG")
    return Response(buffer.getvalue(), media_type="image/png")
