"""`python -m harness.ray_service PORT FOLDER`: run `app.ray` on its own Ray, for measurements, trials and tests.

That Ray keeps its files in FOLDER, has no dashboard, ends with this process, and does not join another Ray on the
machine. The GAN_* variables are the settings of the service.
"""

import argparse
import pkgutil
import signal
from pathlib import Path

import ray
from ray import serve

from app.ray import deployment


def main() -> None:
    """Serve until SIGTERM."""
    options = _parser().parse_args()
    try:
        _start_ray(options.replicas, options.folder)
    except Exception:  # noqa: BLE001  (Ray gives its node 30 s to start; on a busy machine that may be too little)
        ray.shutdown()
        _start_ray(options.replicas, options.folder)
    serve.start(
        http_options={"host": "127.0.0.1", "port": options.port},
        logging_config={"log_level": "ERROR", "enable_access_log": False},
    )
    target = deployment.options(num_replicas=options.replicas, autoscaling_config=None)
    if options.replica is not None:
        target = target.options(func_or_class=serve.ingress()(pkgutil.resolve_name(options.replica)))
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
    parser = argparse.ArgumentParser(
        prog="python -m harness.ray_service", description="Run the service on a local Ray."
    )
    parser.add_argument("port", type=int)
    parser.add_argument(
        "folder", type=Path, help="folder for Ray's files; its path must be short, because it holds sockets"
    )
    parser.add_argument("--replicas", type=int, default=1, help="number of replicas (default: 1)")
    parser.add_argument("--replica", metavar="MODULE:CLASS", help="class of a replica (default: that of app.ray)")
    return parser


if __name__ == "__main__":
    main()
