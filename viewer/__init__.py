"""The JavaScript and CSS that the playground and `training watch` share; README.md in this folder describes them.

This package imports none of the others. `app` and `training` serve its files.
"""

from pathlib import Path


def viewer_dir() -> Path:
    """Return the folder of the scripts that show how a model was trained."""
    return Path(__file__).parent / "static"
