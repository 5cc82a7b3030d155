"""`digit=…`: the class that a request asks a conditional model for."""

import numpy as np
from numpy.typing import NDArray

from app.problems import Problem
from models.model_folder.folder import LoadedModel
from models.networks.conditional import ask_for_class


def check_digit(model: LoadedModel, digit: int | None) -> None:
    """Refuse a digit that the model cannot be asked for.

    Raises:
        Problem: 422 when the model is not conditional, or has fewer classes.
    """
    classes = model.metadata.classes
    if digit is None or digit < classes:
        return
    if classes:
        detail = f"{model.name} has the classes 0 to {classes - 1}, not {digit}"
    else:
        detail = f"{model.name} is not conditional: it draws whatever digit a latent gives; leave digit out"
    raise Problem.of_parameter("digit", detail, digit)


def ask_for_digit(latents: NDArray[np.float32], model: LoadedModel, digit: int | None) -> NDArray[np.float32]:
    """Latents [n, z_dim] as they are drawn → as G is to have them; a checked digit, or None for any."""
    return latents if digit is None else ask_for_class(latents, digit, head_starts=model.head_starts)
