"""Which packages training needs, and what to do where one of them is not installed."""

import sys

PACKAGES = {
    "matplotlib": "matplotlib",
    "numpy": "numpy",
    "PIL": "pillow",
    "pydantic": "pydantic",
    "safetensors": "safetensors",
    "tensorboard": "tensorboard",
    "torch": "torch",
    "torchmetrics": "torchmetrics",
    "tqdm": "tqdm",
}
"""The name of each package by the name under which Python imports it. `make train-env` installs all of them."""


def explain_missing_package(error: ModuleNotFoundError, command: str) -> str | None:
    """Say in one line which package a command lacks, and how to install it.

    Args:
        error: what an import raised.
        command: the command that needs the package, for the message.

    Returns:
        The line; None where the module is not one of `PACKAGES`: then the error is a fault of this program.
    """
    package = PACKAGES.get((error.name or "").partition(".")[0])
    if package is None:
        return None
    return (
        f"{command} needs the package {package}, which {sys.executable} does not have: `make train-env` installs all "
        "that training needs into .venv; then run .venv/bin/python -m training …"
    )
