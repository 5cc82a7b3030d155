"""`digit=…`: the class that a request asks a conditional model for."""

from app.problems import Problem
from models.errors import ClassError
from models.model_folder.loaded_model import LoadedModel
from models.networks.conditional import check_class


def check_digit(model: LoadedModel, digit: int | None) -> None:
    """Refuse a digit that the model cannot be asked for. None asks for no digit, and passes.

    Raises:
        Problem: 422 when the model is not conditional, or has fewer classes.
    """
    try:
        check_class(digit, classes=model.metadata.classes)
    except ClassError as error:
        if error.classes:
            detail = f"{model.name} has the classes 0 to {error.classes - 1}, not {digit}"
        else:
            detail = f"{model.name} is not conditional: it draws whatever digit a latent gives; leave digit out"
        raise Problem.of_parameter("digit", detail, digit) from error
