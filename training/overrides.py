"""`--set key=value`: one setting of a recipe, changed on the command line."""

import tomllib

from training.errors import RecipeError


def apply_override(settings: dict[str, object], override: str) -> None:
    """Change one setting in place.

    Args:
        settings: as TOML has them, sections within sections.
        override: `key=value` or `section.key=value`. The value is written as in TOML, where the quotes of a text may be
            left out; `none` stands for no value.

    Raises:
        RecipeError: it is not of this form, or a section that it names is a value.
    """
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise RecipeError(f"--set takes key=value, not {override!r}")
    *sections, last = key.strip().split(".")
    table = settings
    for section in sections:
        inner = table.setdefault(section, {})
        if not isinstance(inner, dict):
            raise RecipeError(f"--set {override}: {section!r} is a value, not a section")
        table = inner
    table[last] = _value(text.strip())


def _value(text: str) -> object:
    if text.lower() == "none":
        return None
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
