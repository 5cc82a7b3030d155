"""The parameters `class` and `digit`: the class that a conditional model is asked to draw."""

from app.problems import Problem
from models.class_names import MAX_CLASS_NAME, find_class
from models.errors import ClassError
from models.model_folder.loaded_model import LoadedModel

MAX_DIGIT = 9


def label_of(model: LoadedModel, *, digit: int | None, named: str | int | None) -> int | None:
    """Return the number of the class that a request asks for; None if it asks for none.

    Args:
        model: the model.
        digit: the parameter `digit`, a number.
        named: the parameter `class`, a name or a number.

    Raises:
        Problem: 422 if both are given, if the model is not conditional, or if it does not have the class.
    """
    if named is not None and digit is not None:
        raise Problem.of_parameter("class", "class and digit are both given; send one of them", named)
    asked, parameter = (digit, "digit") if named is None else (named, "class")
    if asked is None:
        return None
    try:
        return find_class(asked, model.metadata.class_names)
    except ClassError as error:
        if error.classes:
            detail = f"the model {model.name} has the classes {error.known}, not {error.shown}; ask for one of these"
        else:
            refused = f"the model {model.name} is not conditional, so it cannot be asked for {error.shown}"
            detail = f"{refused}; leave {parameter} out"
        raise Problem.of_parameter(parameter, detail, asked) from error


def class_in_url(model: LoadedModel, label: int | None) -> dict[str, object]:
    """Return the parameter of a permanent URL that asks for a class: the digit, or else the class's name.

    A class has one such parameter, whether a request names it by its name or its number.
    """
    if label is None:
        return {}
    name = model.metadata.class_names[label]
    return {"digit": label} if label <= MAX_DIGIT and name == str(label) else {"class": name}


def check_named(value: object) -> object:
    """Pass on a class's name or number; in JSON, `4.0` is an integer, too.

    Raises:
        ValueError: it is neither a text nor an integer, or it is a text that is empty or too long to be a class's name.
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    is_name = isinstance(value, str) and 1 <= len(value) <= MAX_CLASS_NAME
    is_number = isinstance(value, int) and not isinstance(value, bool)
    if not (is_name or is_number or value is None):
        shown = repr(value[:80] if isinstance(value, str) else value)[:100]
        raise ValueError(f"must be a class's name, of 1 to {MAX_CLASS_NAME} characters, or its number, not {shown}")
    return value
