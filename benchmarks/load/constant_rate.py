"""Run `benchmarks.load.open_loop` on the client's core."""

import json
import subprocess
import sys

from benchmarks.load.open_loop import OpenLoopResult
from harness.cores import CLIENT_CORE, pinned
from harness.service_specs import RequestTemplate


def send_at_rate(
    port: int, request: RequestTemplate, *, rate: float, seconds: float, poisson: bool = False
) -> OpenLoopResult:
    """Send requests at a constant rate.

    Args:
        port: the port of the service, on this machine.
        request: a GET request; only its target is used.
        rate: the rate, in requests/s.
        seconds: how long to send.
        poisson: whether to send at random times (a Poisson process) instead of evenly spaced ones.
    """
    command = [*pinned(CLIENT_CORE), sys.executable, "-m", "benchmarks.load.open_loop", str(port), request.target]
    done = subprocess.run(
        [*command, f"--rate={rate}", f"--seconds={seconds}", *(["--poisson"] if poisson else [])],
        capture_output=True,
        text=True,
        check=True,
    )
    return OpenLoopResult(**json.loads(done.stdout))
