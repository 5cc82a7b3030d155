"""What G and D are, what z is, and how a trained model travels.

The room between training and serving: it imports neither of them.
"""

from pathlib import Path


def bundled_models_dir() -> Path:
    """The folder that holds the model folders shipped with this package."""
    return Path(__file__).parent / "bundled"
