"""Settings of the service: `GAN_*` environment variables, or the same names in a `.env` file."""

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.middleware.auth import hash_key
from app.telemetry.logs import LogFormat
from models import bundled_models_dir
from models.device import DeviceName


class Settings(BaseSettings):
    """Every setting, with its unit and its default. Read once, at start."""

    model_config = SettingsConfigDict(env_prefix="GAN_", env_file=".env", extra="ignore", frozen=True)

    host: str = Field(default="127.0.0.1", description="Address to listen on; 0.0.0.0 for every interface")
    port: int = Field(default=8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one")
    workers: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Processes that serve, each with models, queues and limits of its own; more than 1 on Linux only",
    )
    root_path: str = Field(
        default="",
        pattern=r"^(/[A-Za-z0-9._~-]+)*$",
        description="Prefix under which a proxy serves this, such as /gan",
    )
    models_dir: Path = Field(default_factory=bundled_models_dir, description="Folder of model folders")
    default_model: str = Field(default="mnist-conv", description="Model of requests that name none")
    device: DeviceName = Field(default="auto", description="auto, cpu or cuda")
    max_requests: int = Field(default=256, ge=1, description="Requests that may be under way at once; beyond them, 429")
    max_queue_images: int = Field(default=16_384, ge=1, description="Images that may wait; beyond them, 429")
    max_queue_projections: int = Field(default=8, ge=1, description="Projections that may wait; beyond them, 429")
    max_body_bytes: int = Field(default=32 * 2**20, ge=1024, description="Bytes of a request's body; beyond them, 413")
    max_file_pixels: int = Field(
        default=40_000_000, ge=784, description="Pixels of an uploaded image; beyond them, 413"
    )
    engine_timeout_s: float = Field(
        default=30,
        gt=0,
        le=3600,
        description="Seconds that one call of a network may take; beyond them the process ends, to be started again",
    )
    shutdown_grace_s: float = Field(
        default=0,
        ge=0,
        le=600,
        description="Seconds after SIGTERM for which requests still come in while /readyz says 503",
    )
    api_keys: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Keys with commas between; with any, a request needs one, as `Authorization: Bearer KEY`. A key "
        "may be given as `sha256:` and its hash",
    )
    admin_key: str | None = Field(default=None, description="Key of POST /admin/reload; without one there is none")
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="Origins with commas between whose pages may call this service from a browser, or *"
    )
    log_level: str = Field(default="info", pattern="^(critical|error|warning|info|debug)$", description="Of the log")
    log_format: LogFormat = Field(default="text", description="text, or json: one object a line")
    access_log: bool = Field(default=False, description="Whether to log each request, and to name it in X-Request-Id")
    otel: bool = Field(
        default=False,
        description="Whether to send a trace of each request by OpenTelemetry, whose own OTEL_* variables say where "
        "to; needs the extra otel",
    )

    @field_validator("api_keys", "cors_origins", mode="before")
    @classmethod
    def _split(cls, text: object) -> object:
        return tuple(part.strip() for part in text.split(",") if part.strip()) if isinstance(text, str) else text

    @field_validator("api_keys")
    @classmethod
    def _hash_all(cls, keys: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(hash_key(key) for key in keys)

    @field_validator("admin_key")
    @classmethod
    def _hash_one(cls, key: str | None) -> str | None:
        return hash_key(key) if key else None

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
            raise ValueError("more than one worker needs Linux, which spreads connections over them")
        return workers


def _has_otel() -> bool:
    """Whether what `app.middleware.tracing` needs is there."""
    try:
        return None not in (find_spec("opentelemetry.sdk"), find_spec("opentelemetry.exporter.otlp.proto.http"))
    except ModuleNotFoundError:  # not even what they are parts of
        return False
