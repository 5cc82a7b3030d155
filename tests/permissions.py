"""Commands that obey the permissions of files and folders, also if root runs the tests: root may read and write all."""

import os
import shutil
import subprocess
from functools import cache

import pytest

_CAPABILITIES = "--bounding-set=-dac_override,-dac_read_search"


def obeying_permissions() -> list[str]:
    """Return a prefix for a command. For root it takes away what lets root pass over permissions; it may be empty."""
    if os.geteuid() != 0:
        return []
    prefix = _prefix_for_root()
    if prefix is None:
        pytest.skip("root passes over permissions here: setpriv (util-linux) is missing, or may not change that")
    return prefix


@cache
def _prefix_for_root() -> list[str] | None:
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        return None
    prefix = [setpriv, _CAPABILITIES]
    return prefix if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0 else None
