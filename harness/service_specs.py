"""The start of each measured service, and the requests that it gets: `python -m app` alone, and on Ray Serve."""

import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.repository import ROOT

_RAY = {"HOME": "{scratch}", "RAY_USAGE_STATS_ENABLED": "0"}  # Ray writes a token into the home folder
RAY_INGRESSES = {
    "Serve's proxy": _RAY,
    "HAProxy": _RAY
    | {
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        "RAY_SERVE_LOG_TO_STDERR": "1",  # otherwise the service's log goes to Serve's files
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "0",  # no load balancer must learn of the end
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": "{scratch}/haproxy/haproxy.cfg",
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": "{scratch}/haproxy",
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": "{scratch}/haproxy/server-state",
        "RAY_SERVE_HAPROXY_SOCKET_PATH": "{scratch}/haproxy/admin.sock",
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": "{scratch}/haproxy/metrics.sock",
    },
}
"""The two ingresses of Ray Serve, and the environment that selects each; {scratch} stands for an empty folder.

Serve's proxy hands each request to a replica through Ray. HAProxy sends it straight to the replica's own uvicorn.
"""


@dataclass(frozen=True)
class RequestTemplate:
    """A kind of request. SEED, in the target and in the body, is replaced by another number in each request.

    Attributes:
        target: the path and the query.
        method: the HTTP method.
        body: the body as JSON, or empty.
        headers: the headers of each request.
        body_file: a file whose bytes are the body, in place of `body`; `headers` must have its Content-Type.
    """

    target: str
    method: str = "GET"
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body_file: Path | None = None


@dataclass(frozen=True)
class ServiceSpec:
    """The way in which a service is started, and the requests that it gets in a measurement.

    In the command, the variables and the log's path, {port} becomes a free port and {scratch} an empty folder.

    Attributes:
        name: the name in tables.
        command: the command that starts the service.
        ready_path: the path whose GET gives 200 once the service is ready.
        one: a request for one image.
        grid: a request for a grid of 64 images.
        environment: variables that are added to those of this process.
        folder: the folder in which the command runs; None stands for the folder of this process.
        log: the file that receives standard error; without one, it goes to the standard error of this process.
    """

    name: str
    command: list[str]
    ready_path: str
    one: RequestTemplate
    grid: RequestTemplate
    environment: dict[str, str] = field(default_factory=dict)
    folder: Path | None = None
    log: str | None = None

    def with_settings(self, **settings: object) -> "ServiceSpec":
        """Return the spec of the same service with these GAN_* settings, named in lower case without the prefix."""
        variables = {f"GAN_{name.upper()}": str(value) for name, value in settings.items()}
        return replace(self, environment=self.environment | variables)


def ours(models_dir: Path, model: str) -> ServiceSpec:
    """Return the spec of `python -m app` with these model folders and this default model."""
    return ServiceSpec(
        "ours",
        [sys.executable, "-m", "app"],
        "/readyz",
        RequestTemplate("/v1/samples?n=1&format=png&seed=SEED"),
        RequestTemplate("/v1/samples?n=64&padding=0&format=png&seed=SEED"),
        {
            "GAN_PORT": "{port}",
            "GAN_MODELS_DIR": str(models_dir),
            "GAN_DEFAULT_MODEL": model,
            "GAN_LOG_LEVEL": "warning",
        },
    )


def on_ray(models_dir: Path, model: str, *, ingress: str, replicas: int = 1, replica: str | None = None) -> ServiceSpec:
    """Return the spec of `harness.ray_service`, which needs the extra `ray`.

    Args:
        models_dir: the folder of model folders.
        model: the default model.
        ingress: one of `RAY_INGRESSES`.
        replicas: the number of replicas.
        replica: the replica's class as `module:Class`; None stands for the class of `app.ray`.
    """
    alone = ours(models_dir, model)
    options = [f"--replicas={replicas}", *([f"--replica={replica}"] if replica else [])]
    return replace(
        alone,
        name=f"Ray Serve, {ingress}",
        command=[sys.executable, "-m", "harness.ray_service", "{port}", "{scratch}", *options],
        environment=alone.environment | RAY_INGRESSES[ingress] | {"PYTHONPATH": str(ROOT)},
    )
