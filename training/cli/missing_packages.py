"""The packages that training needs, and the message for one that is not installed."""

import shlex
import sys
from pathlib import Path

MAKEFILE = Path(__file__).parents[2] / "Makefile"

PACKAGES = {
    "matplotlib": "matplotlib",
    "numpy": "numpy",
    "onnx": "onnx",
    "onnxruntime": "onnxruntime",
    "onnxscript": "onnxscript",
    "PIL": "pillow",
    "pydantic": "pydantic",
    "safetensors": "safetensors",
    "tensorboard": "tensorboard",
    "torch": "torch",
    "torchmetrics": "torchmetrics",
    "tqdm": "tqdm",
}
"""The name of each package, by the name under which Python imports it. `make train-env` installs all of them."""

ONNX_EXTRA = ("onnx", "onnxruntime", "onnxscript")
"""The packages of the extra `onnx`, which only the commands that write ONNX files need."""

EXTRAS = {"pyarrow": "parquet"}
"""The extra that installs a package which only some data need, by the name under which Python imports it."""


def explain_missing_package(error: ModuleNotFoundError, command: str) -> str | None:
    """Return a line that says which package a command lacks, and how to install it.

    Args:
        error: the error that an import raised.
        command: the command that needs the package, for the message.

    Returns:
        The line; None if the module belongs neither to `PACKAGES` nor to `EXTRAS`, so that the error is a bug of this
        program.
    """
    module = (error.name or "").partition(".")[0]
    if module in EXTRAS:
        advice = f"install the extra {EXTRAS[module]!r}, with `pip install '.[{EXTRAS[module]}]'` in the repository"
        if not MAKEFILE.is_file():
            advice = f"run `{shlex.join([sys.executable, '-m', 'pip', 'install', module])}`"
        return f"these data need the package {module}, which {sys.executable} does not have: {advice}"
    package = PACKAGES.get(module)
    if package is None:
        return None
    advice = "`make train-env` installs all that training needs into .venv; then run .venv/bin/python -m training …"
    if not MAKEFILE.is_file():  # an installed package, not the repository
        packages = ONNX_EXTRA if package in ONNX_EXTRA else (package,)
        advice = f"run `{shlex.join([sys.executable, '-m', 'pip', 'install', *packages])}`"
    extra = " of the extra `onnx`" if package in ONNX_EXTRA else ""
    return f"{command} needs the package {package}{extra}, which {sys.executable} does not have: {advice}"
