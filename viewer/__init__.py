"""The JavaScript and CSS that the playground and `training watch` share: README.md in this folder.

Imports nothing. `app` and `training` serve its files.
"""

from pathlib import Path


def viewer_dir() -> Path:
    """The folder of the scripts that show how a model was trained."""
    return Path(__file__).parent / "static"
