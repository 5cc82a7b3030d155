"""CORS: which other origins' pages may read the answers, refusals by the gate among them."""

from collections.abc import Sequence

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp


def readable_by(origins: Sequence[str], service: ASGIApp) -> ASGIApp:
    """A service whose answers pages of these origins may read."""
    return CORSMiddleware(
        service,
        allow_origins=origins,
        allow_methods=["GET", "POST"],
        allow_headers=["Authorization", "Content-Type", "If-None-Match", "Traceparent", "Tracestate", "X-Request-Id"],
        expose_headers=["Content-Location", "ETag", "Retry-After", "X-Model", "X-Request-Id", "X-Seed"],
    )
