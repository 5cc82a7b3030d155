"""`python -m harness.ray_service PORT FOLDER`: `app.ray` on a Ray of its own, for measurements, trials and tests.

That Ray keeps its files in FOLDER, has no dashboard, and ends with this process; others on the machine are none of its
business. What it is to serve, the GAN_* variables say.
"""

import argparse
import signal
from pathlib import Path

import ray
from ray import serve

from app.ray import deployment
from benchmarks.services.ray_batch import BatchReplica

BATCHINGS = ("engine", "serve.batch")


def main() -> None:
    """Serve until SIGTERM."""
    options = _parser().parse_args()
    try:
        _start_ray(options.replicas, options.folder)
    except Exception:  # noqa: BLE001  (Ray gives its node 30 s, which a machine with much else to do may not manage)
        ray.shutdown()
        _start_ray(options.replicas, options.folder)
    serve.start(
        http_options={"host": "127.0.0.1", "port": options.port},
        logging_config={"log_level": "ERROR", "enable_access_log": False},
    )
    target = deployment.options(num_replicas=options.replicas, autoscaling_config=None)
    if options.batching == "serve.batch":
        target = target.options(func_or_class=serve.ingress()(BatchReplica))
    serve.run(target.bind(), name="gan")
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    serve.shutdown()
    ray.shutdown()


def _start_ray(processors: int, folder: Path) -> None:
    ray.init(
        address="local",
        num_cpus=processors,
        include_dashboard=False,
        log_to_driver=True,
        logging_level="ERROR",
        object_store_memory=100 * 2**20,
        _temp_dir=str(folder.resolve()),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m harness.ray_service", description="The service on a local Ray.")
    parser.add_argument("port", type=int)
    parser.add_argument("folder", type=Path, help="for Ray's files; a short path, for there are sockets in it")
    parser.add_argument("--replicas", type=int, default=1, help="default: 1")
    parser.add_argument("--batching", choices=BATCHINGS, default="engine", help="default: engine")
    return parser


if __name__ == "__main__":
    main()
