"""`--set key=value`: one setting of a recipe, changed on the command line."""

import tomllib

from training.errors import RecipeError


def apply_override(settings: dict[str, object], override: str) -> None:
    """Change one setting in place.

    Args:
        settings: the settings as parsed from TOML; each section is a dict within the dict.
        override: `key=value` or `section.key=value`. The value is written as in TOML, except that the quotes of a text
            may be left out and that `none` means no value.

    Raises:
        RecipeError: `override` does not have this form or has several lines, or its section is a plain value.
    """
    if len(override.splitlines()) > 1:
        raise RecipeError(f"--set {override!r} has several lines; give each setting as a key=value of its own")
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise RecipeError(f"--set takes key=value, not {override!r}; for example, --set epochs=3")
    *sections, last = key.strip().split(".")
    table = settings
    for section in sections:
        inner = table.setdefault(section, {})
        if not isinstance(inner, dict):
            raise RecipeError(f"--set {override}: {section!r} is a value, not a section; set it without a further key")
        table = inner
    table[last] = _value(text.strip())


def _value(text: str) -> object:
    if text.lower() == "none":
        return None
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
