"""Reads the settings' variables, `GAN_*`, from the environment and from a `.env` file in the current folder.

A variable that no setting reads is passed on as well, so that the start fails: a misspelt `GAN_API_KEY` must not leave
the service open. Only the variables that Kubernetes makes of a Service called `gan` are left out.
"""

import io
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from dotenv.parser import parse_stream
from pydantic.fields import FieldInfo
from pydantic_settings import PydanticBaseSettingsSource

PREFIX = "GAN_"

_FILE = Path(".env")
_SERVICE_LINK = re.compile(
    r"GAN_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)", re.ASCII
)
_SERVICE_LINK_URL = re.compile(r"GAN_(\w+_)?PORT=(tcp|udp|sctp)://.*", re.ASCII)


class DotEnvError(ValueError):
    """The file `.env` cannot be read."""


class Variables(PydanticBaseSettingsSource):
    """The variables `GAN_*`; those of the environment replace those of `.env`."""

    def __call__(self) -> dict[str, Any]:
        """Return the texts of the variables, by the name without the prefix and in lower case.

        Raises:
            DotEnvError: `.env` cannot be read.
        """
        inherited = {name: text for name, text in _named(os.environ).items() if not _is_service_link(name, text)}
        filed = _named(_read_dot_env()) if getattr(self.settings_cls, "reads_dot_env", True) else {}
        return {name.removeprefix(PREFIX).lower(): text for name, text in (filed | inherited).items()}

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002
        """Return nothing for a single field: `__call__` gives all at once."""
        return None, field_name, False


def _named(variables: Mapping[str, str | None]) -> dict[str, str]:
    """Return the variables whose names begin with `GAN_` in upper or lower case, by the name in capitals."""
    return {name.upper(): text or "" for name, text in variables.items() if name.upper().startswith(PREFIX)}


def _is_service_link(name: str, text: str) -> bool:
    """Whether Kubernetes made a variable of a Service, such as `GAN_PORT=tcp://10.0.0.1:80` or `GAN_SERVICE_HOST`."""
    return bool(_SERVICE_LINK.fullmatch(name) or _SERVICE_LINK_URL.fullmatch(f"{name}={text}"))


def _read_dot_env() -> dict[str, str | None]:
    """Return the variables of `.env`; none if there is no such file.

    Raises:
        DotEnvError: the file cannot be opened, is not UTF-8, or has a line that is no `NAME=value`.
    """
    try:
        text = _FILE.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise DotEnvError(
            f"{_FILE}: it cannot be read ({error.strerror}); make it a readable file, or remove it"
        ) from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise DotEnvError(f"{_FILE}: line {line} is not UTF-8; save the file as UTF-8") from error
    for binding in parse_stream(io.StringIO(text)):
        if binding.error:
            raise DotEnvError(f"{_FILE}: line {binding.original.line} is no setting; write each line as NAME=value")
        if binding.value is None and (name := binding.key or "").upper().startswith(PREFIX):
            raise DotEnvError(f"{_FILE}: {name} stands there without a value; write {name}=value, or remove the line")
    return dotenv_values(stream=io.StringIO(text), interpolate=False)  # a key may contain ${
