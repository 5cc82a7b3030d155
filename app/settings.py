"""Settings of the service: `GAN_*` environment variables, or the same names in a `.env` file."""

import difflib
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from app.environment import PREFIX, Variables
from app.middleware.auth import hash_key
from app.middleware.cors import as_browsers_send
from app.telemetry.logs import LogFormat
from models import bundled_models_dir
from models.device import DeviceName

OWN_PATHS = frozenset({"admin", "docs", "healthz", "metrics", "openapi.json", "readyz", "redoc", "static", "v1"})
"""The first parts of the service's own paths, none of which can be the prefix of a proxy."""


class Settings(BaseSettings):
    """All settings, with their units and defaults. They are read once, when the service starts."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, validate_default=False, hide_input_in_errors=True)

    reads_dot_env: ClassVar[bool] = True
    """Whether the file `.env` is read."""

    host: str = Field(
        default="127.0.0.1",
        description="Address to listen on. The default accepts connections from this machine only; 0.0.0.0 accepts "
        "them on every interface.",
    )
    port: int = Field(
        default=8000,
        ge=0,
        le=65535,
        description="TCP port to listen on. 0 takes a free port, which the line `Serving on …` names.",
    )
    workers: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Number of processes that answer requests. Each loads the models and has queues and limits of its "
        "own. More than 1 needs Linux.",
    )
    root_path: str = Field(
        default="",
        pattern=r"^(/[A-Za-z0-9._~-]+)*$",
        description="Path prefix under which a reverse proxy publishes the service, such as `/gan`. The proxy may "
        "remove the prefix or leave it. Not set: no prefix.",
    )
    models_dir: Path = Field(
        default_factory=bundled_models_dir,
        description="Folder that contains the model folders; `~` is the home folder. The default contains the bundled "
        "models.",
    )
    default_model: str = Field(
        default="mnist-conv",
        description="Name of the model that answers requests which name none. If it cannot be used, the usable model "
        "that is first in alphabetical order takes its place.",
    )
    device: DeviceName = Field(
        default="auto",
        description="Device that computes the networks: `cpu`, `cuda`, `mps` (the GPU of an Apple computer), or "
        "`auto`, which takes CUDA if PyTorch finds a CUDA device and the CPU otherwise.",
    )
    max_requests: int = Field(
        default=256,
        ge=1,
        description="The most requests in progress at once, for each process; further ones are refused with 429. "
        "Requests that wait for a slow client do not count, and `/healthz` and `/readyz` are never refused. A browser "
        "asks for the files of the playground at once, so a number below 20 can keep the page from loading.",
    )
    max_queue_images: int = Field(
        default=16_384,
        ge=1,
        description="The most images that may wait to be drawn or scored, for each process; a request that would "
        "exceed this is refused with 429. An empty queue takes a request of any size.",
    )
    max_queue_projections: int = Field(
        default=8,
        ge=1,
        description="The most projections that may wait while another one runs, for each process; further ones are "
        "refused with 429.",
    )
    max_body_bytes: int = Field(
        default=32 * 2**20,
        ge=1024,
        description="The largest body of a request, in bytes; a larger one is refused with 413. The default is 32 MiB. "
        "A JSON body may never be larger than 16 MiB.",
    )
    max_file_pixels: int = Field(
        default=40_000_000,
        ge=784,
        description="The largest uploaded image, in pixels (width × height); a larger one is refused with 413. All "
        "images of one request together may have four times as many pixels.",
    )
    engine_timeout_s: float = Field(
        default=30,
        gt=0,
        le=3600,
        description="The longest time that one call of a network may take, in seconds. After it the process counts as "
        "hung and ends, so that its supervisor starts a new one.",
    )
    shutdown_grace_s: float = Field(
        default=0,
        ge=0,
        le=600,
        description="How long new requests are still accepted after SIGTERM, in seconds, while `/readyz` answers 503. "
        "Set about 5 behind a load balancer that needs time to notice, such as that of Kubernetes.",
    )
    api_keys: tuple[str, ...] = Field(
        default=(),
        description="Keys, separated by commas. If any is set, each request except those to `/healthz` and `/readyz` "
        "needs one: as `Authorization: Bearer KEY`, or as the password that a browser asks for (Basic). A key may be "
        "given as `sha256:` and the 64 hex digits of its SHA-256. With keys, answers are `private`: shared caches must "
        "not store them.",
    )
    admin_key: str | None = Field(
        default=None,
        description="Key for `POST /admin/reload`, which reads the models folder again, as SIGHUP does. Without this "
        "key the route answers 404. It may be given by its hash, as in GAN_API_KEYS. It opens this route only, and the "
        "keys of GAN_API_KEYS do not open it.",
    )
    cors_origins: tuple[str, ...] = Field(
        default=(),
        description="Origins, separated by commas, whose pages may call the service from a browser, such as "
        "`https://example.org`; `*` allows every origin. Not set: only the service's own pages may.",
    )
    log_level: str = Field(
        default="info",
        pattern="^(critical|error|warning|info|debug)$",
        description="The lowest level that is logged: `debug`, `info`, `warning`, `error` or `critical`.",
    )
    log_format: LogFormat = Field(
        default="text", description="Format of the log: `text`, or `json` with one object on each line."
    )
    access_log: bool = Field(
        default=False,
        description="Whether to log a line for each request. Each answer then has the request's id in X-Request-Id.",
    )
    otel: bool = Field(
        default=False,
        description="Whether to send a trace of each request with OpenTelemetry, whose variables `OTEL_*` say where "
        "to. This needs the extra `otel`. Each answer then has the request's id in X-Request-Id.",
    )

    @field_validator("api_keys", "cors_origins", mode="before")
    @classmethod
    def _split(cls, text: object) -> object:
        if not isinstance(text, str):
            return text
        parts = tuple(part.strip() for part in text.split(",") if part.strip())
        if not parts:
            raise ValueError("there is nothing between the commas; write at least one value, or remove the setting")
        return parts

    @field_validator("root_path")
    @classmethod
    def _check_prefix(cls, prefix: str) -> str:
        if (first := prefix.split("/")[1:2]) and first[0] in OWN_PATHS:
            raise ValueError(
                f"/{first[0]} is a path of the service itself; publish it under another prefix than {prefix}"
            )
        return prefix

    @field_validator("*", mode="before")
    @classmethod
    def _has_plain_digits(cls, text: object, info: ValidationInfo) -> object:
        is_number = cls.model_fields[info.field_name or ""].annotation in {int, float}
        if is_number and isinstance(text, str) and "_" in text:
            raise ValueError(f"{text!r} has an underscore; write a number in digits only")
        return text

    @field_validator("*", mode="before")  # the last one is called first
    @classmethod
    def _is_given(cls, text: object) -> object:
        if isinstance(text, str) and not text.strip():
            raise ValueError("it is empty; give it a value, or remove it")
        return text

    @field_validator("models_dir")
    @classmethod
    def _expand_home(cls, folder: Path) -> Path:
        try:
            return folder.expanduser()
        except RuntimeError as error:
            raise ValueError(f"there is no home folder for {folder}; write the whole path") from error

    @field_validator("api_keys")
    @classmethod
    def _hash_all(cls, keys: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(hash_key(key) for key in keys)

    @field_validator("admin_key")
    @classmethod
    def _hash_one(cls, key: str | None) -> str | None:
        return hash_key(key) if key else None

    @field_validator("cors_origins")
    @classmethod
    def _normalise(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(as_browsers_send(origin) for origin in origins)

    @field_validator("otel")
    @classmethod
    def _check_extra(cls, otel: bool) -> bool:
        if otel and not _has_otel():
            raise ValueError("the extra otel is not installed: pip install '.[app,otel]'")
        return otel

    @field_validator("workers")
    @classmethod
    def _check_system(cls, workers: int) -> int:
        if workers > 1 and not sys.platform.startswith("linux"):
            raise ValueError("more than 1 worker needs Linux, which spreads connections over the workers; set 1")
        return workers

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003  (`Variables` takes the place of these three)
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take the settings of the caller first, and then those of the variables."""
        return init_settings, Variables(settings_cls)


def mistakes_of(error: ValidationError) -> list[str]:
    """Return a line for each wrong setting. No line shows an API key."""
    lines = []
    for mistake in error.errors():
        name = PREFIX + "_".join(str(part) for part in mistake["loc"]).upper()
        known = [PREFIX + field.upper() for field in Settings.model_fields]
        if mistake["type"] == "extra_forbidden":
            (nearest,) = difflib.get_close_matches(name, known, n=1, cutoff=0)
            lines.append(f"{name}: there is no such setting; the nearest is {nearest}. Rename it, or remove it")
        elif mistake["type"] == "value_error":
            lines.append(f"{name}: {mistake['ctx']['error']}")
        else:
            lines.append(f"{name}: {mistake['msg']}, not {mistake['input']!r}")
    return lines


def _has_otel() -> bool:
    """Whether the packages that `app.middleware.tracing` needs are installed."""
    try:
        return None not in (find_spec("opentelemetry.sdk"), find_spec("opentelemetry.exporter.otlp.proto.http"))
    except ModuleNotFoundError:  # not even the packages that contain them are installed
        return False
