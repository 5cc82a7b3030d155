"""The code that training and serving share: images, latents z, the networks G and D, inference, and the model folder.

    networks/       G and D: their layers, their architectures, and how a pair is built
    model_folder/   how a trained model is written, checked and read
    inference/      running a trained model: sampler, scorer, saliency, projection
    bundled/        the model folders that are shipped with this package

`app` and `training` import this package; it imports neither of them.
"""

from pathlib import Path

__version__ = "0.1.0"
"""Version of the whole project; CONTRIBUTING.md, "Releases", says what else changes with it."""


def bundled_models_dir() -> Path:
    """Return the folder that holds the model folders shipped with this package."""
    return Path(__file__).parent / "bundled"
