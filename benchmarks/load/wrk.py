"""Run wrk. Each connection sends its next request when it has the answer: the rate is what the service can answer."""

import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass

from harness.cores import CLIENT_CORE, pinned
from harness.service_specs import RequestTemplate

LUA = """
-- SEED is replaced by another number in each request.
local target, body, seed = os.getenv("BENCH_TARGET"), os.getenv("BENCH_BODY"), 0
local file = os.getenv("BENCH_BODY_FILE")
wrk.method = os.getenv("BENCH_METHOD")
if file ~= "" then
    body = nil
    wrk.body = io.open(file, "rb"):read("*a")
elseif body == "" then body = nil else wrk.headers["Content-Type"] = "application/json" end
request = function()
    seed = seed + 1
    return wrk.format(nil, (target:gsub("SEED", seed)), nil, body and (body:gsub("SEED", seed)))
end
done = function(summary, latency)
    io.write(string.format("RESULT %f %f %f %d\\n", summary.requests / summary.duration * 1e6,
        latency:percentile(50), latency:percentile(99), summary.errors.status + summary.errors.connect
        + summary.errors.read + summary.errors.timeout))
end
"""


@dataclass(frozen=True)
class LoadResult:
    """The result of a load: requests/s, median and 99th percentile of the latency in ms, and failed requests."""

    rate: float
    p50_ms: float
    p99_ms: float
    errors: int


def need_wrk() -> None:
    """End the program with an error if wrk is not installed."""
    if shutil.which("wrk") is None:
        sys.exit("error: wrk is missing: apt-get install wrk")


def load(port: int, request: RequestTemplate, *, connections: int, seconds: int) -> LoadResult:
    """Put load on a service.

    Args:
        port: the port of the service, on this machine.
        request: the request that is sent again and again.
        connections: clients at once; each sends its next request when it has the answer.
        seconds: how long to send; wrk takes whole seconds only.

    Raises:
        RuntimeError: wrk printed no figures.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(LUA)
        script.flush()
        command = [*pinned(CLIENT_CORE), "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", script.name]
        command += [f"-H{name}: {value}" for name, value in request.headers.items()]
        asked = {"BENCH_TARGET": request.target, "BENCH_METHOD": request.method, "BENCH_BODY": request.body}
        asked["BENCH_BODY_FILE"] = "" if request.body_file is None else str(request.body_file)
        done = subprocess.run(
            [*command, f"http://127.0.0.1:{port}"],
            env=os.environ | asked,
            capture_output=True,
            text=True,
            check=True,
        )
    found = re.search(r"RESULT (\S+) (\S+) (\S+) (\S+)", done.stdout)
    if found is None:
        raise RuntimeError(f"wrk printed no figures: {done.stdout} {done.stderr}")
    return LoadResult(float(found[1]), float(found[2]) / 1000, float(found[3]) / 1000, int(found[4]))


def middle(loads: Sequence[LoadResult]) -> LoadResult:
    """Return the median of each figure, and the sum of the errors."""
    return LoadResult(
        statistics.median(load.rate for load in loads),
        statistics.median(load.p50_ms for load in loads),
        statistics.median(load.p99_ms for load in loads),
        sum(load.errors for load in loads),
    )
