"""The services that ours is compared with, and how each is started."""

import sys
from dataclasses import replace
from pathlib import Path

from harness.repository import ROOT
from harness.service_specs import RequestTemplate, ServiceSpec

PLAIN, HELLO = "plain FastAPI, eager G, Pillow", "FastAPI's hello"


def plain(models_dir: Path, model: str) -> ServiceSpec:
    """Describe `benchmarks.services.plain_service`."""
    return ServiceSpec(
        PLAIN,
        [*_uvicorn(), "benchmarks.services.plain_service:app"],
        "/samples?n=1",
        RequestTemplate("/samples?n=1&seed=SEED"),
        RequestTemplate("/samples?n=64&seed=SEED"),
        {"PLAIN_MODEL": str(models_dir / model)},
    )


def hello() -> ServiceSpec:
    """Describe `benchmarks.services.hello_service`."""
    return ServiceSpec(
        HELLO,
        [*_uvicorn(), "benchmarks.services.hello_service:app"],
        "/hello",
        RequestTemplate("/hello?n=1&seed=SEED"),
        RequestTemplate("/hello?n=64&seed=SEED"),
    )


def onnx(python: Path, models_dir: Path, model: str) -> ServiceSpec:
    """Describe `benchmarks.rivals.onnx_service`, run by `python`, the interpreter of the rivals' environment."""
    return replace(
        plain(models_dir, model),
        name="plain FastAPI, ONNX Runtime, our PNG",
        command=[*_uvicorn(str(python)), "benchmarks.rivals.onnx_service:app"],
        environment={"PLAIN_MODEL": str((models_dir / model).resolve()), "PYTHONPATH": str(ROOT)},
    )


def starlette_bytes(*, one: int, grid: int) -> ServiceSpec:
    """Describe `benchmarks.services.starlette_bytes`, which answers the two requests with `one` and `grid` bytes."""
    return replace(
        bare(one=one, grid=grid),
        name="Starlette's constant bytes",
        command=[*_uvicorn(), "benchmarks.services.starlette_bytes:app"],
    )


def granian_bytes(python: Path, *, one: int, grid: int) -> ServiceSpec:
    """Describe `benchmarks.rivals.granian_bytes`, run by the interpreter of the rivals' environment."""
    options = ["--interface=rsgi", "--loop=uvloop", "--port={port}", "--log-level=warning"]
    return replace(
        bare(one=one, grid=grid),
        name=f"Granian {_pinned_version('granian')}'s constant bytes",
        command=[str(python), "-m", "granian", *options, "benchmarks.rivals.granian_bytes:app"],
        environment={"PYTHONPATH": str(ROOT)},
    )


def bare(*, one: int, grid: int) -> ServiceSpec:
    """Describe `benchmarks.services.bare_service`, whose two requests are answered with `one` and with `grid` bytes."""
    return ServiceSpec(
        "bare ASGI",
        [*_uvicorn(), "benchmarks.services.bare_service:app"],
        "/1",
        RequestTemplate(f"/{one}?seed=SEED"),
        RequestTemplate(f"/{grid}?seed=SEED"),
    )


def rivals(python: Path, models_dir: Path, model: str) -> list[ServiceSpec]:
    """Describe the model servers of `benchmarks.rivals`, each run by `python`, the interpreter of their environment."""
    run = [str(python), "-m"]
    bento = "benchmarks.rivals.bentoml_service:BentoMLPictures"
    shared = {"PLAIN_MODEL": str((models_dir / model).resolve()), "PYTHONPATH": str(ROOT), "HOME": "{scratch}"}
    return [
        ServiceSpec(
            f"LitServe {_pinned_version('litserve')}",
            [*run, "benchmarks.rivals.litserve_service", "{port}"],
            "/health",
            one=RequestTemplate("/samples?n=1&seed=SEED", "POST"),
            grid=RequestTemplate("/samples?n=64&seed=SEED", "POST"),
            environment=shared,
        ),
        ServiceSpec(
            f"BentoML {_pinned_version('bentoml')}",
            [*run, "bentoml", "serve", bento, "--host=127.0.0.1", "--port={port}"],
            "/readyz",
            one=RequestTemplate("/samples", "POST", '[{"n": 1, "seed": SEED}]'),
            grid=RequestTemplate("/samples", "POST", '[{"n": 64, "seed": SEED}]'),
            environment=shared | {"BENTOML_DO_NOT_TRACK": "true"},
        ),
        ServiceSpec(
            f"Ray Serve {_pinned_version('ray')}",
            [*run, "benchmarks.rivals.ray_service", "{port}", "{scratch}"],
            "/samples?n=1&seed=0",
            one=RequestTemplate("/samples?n=1&seed=SEED"),
            grid=RequestTemplate("/samples?n=64&seed=SEED"),
            environment=shared
            | {
                "RAY_USAGE_STATS_ENABLED": "0",
                "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
                "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "0",  # no load balancer must learn of the end
            },
        ),
    ]


def _uvicorn(python: str = sys.executable) -> list[str]:
    return [python, "-m", "uvicorn", "--no-access-log", "--log-level", "warning", "--port", "{port}"]


def _pinned_version(package: str) -> str:
    """Return the version of a package in the rivals' environment."""
    pins = (ROOT / "benchmarks/rivals/requirements.txt").read_text(encoding="utf-8").splitlines()
    return next(pin.partition("==")[2] for pin in pins if pin.partition("==")[0] == package)
