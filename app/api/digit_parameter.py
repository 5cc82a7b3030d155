"""The parameter `digit`: the class that a conditional model is asked to draw."""

from app.problems import Problem
from models.errors import ClassError
from models.model_folder.loaded_model import LoadedModel
from models.networks.conditional import check_class


def check_digit(model: LoadedModel, digit: int | None) -> None:
    """Refuse a digit that the model does not have. None, for a request without a digit, passes.

    Raises:
        Problem: 422 if the model is not conditional, or has no class for this digit.
    """
    try:
        check_class(digit, classes=model.metadata.classes)
    except ClassError as error:
        if error.classes:
            detail = (
                f"the model {model.name} has the classes 0 to {error.classes - 1}, not {digit}; ask for one of these"
            )
        else:
            detail = f"the model {model.name} is not conditional, so it cannot be asked for {digit}; leave digit out"
        raise Problem.of_parameter("digit", detail, digit) from error
