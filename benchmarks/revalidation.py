"""`python -m benchmarks.revalidation`: how fast our service answers 304 to a client that already has the picture.

Every request has the same URL, with the ETag of its answer in If-None-Match. FastAPI's own hello is measured beside it.
"""

import argparse
import sys
import urllib.error
import urllib.request
from collections import defaultdict
from dataclasses import replace

from benchmarks.load.options import add_load_options
from benchmarks.load.wrk import LoadResult, load, middle, need_wrk
from benchmarks.services.specs import hello
from harness.pinned_services import started
from harness.report import describe_machine, table
from harness.service_specs import RequestTemplate, ours

NAMES = ("ours, 304", "FastAPI's hello")


def main() -> None:
    """Measure and print the table."""
    options = _parser().parse_args()
    need_wrk()
    service = ours(options.models_dir, options.model)
    known = RequestTemplate(service.grid.target.replace("SEED", "7"))
    loads: dict[str, list[LoadResult]] = defaultdict(list)
    how = {"connections": options.connections, "seconds": options.seconds}
    for turn in range(options.rounds):
        print(f"round {turn + 1} of {options.rounds} …", file=sys.stderr)
        with started(service) as running:
            etag = _etag(running.port, known)
            loads[NAMES[0]].append(load(running.port, replace(known, headers={"If-None-Match": etag}), **how))
        with started(hello()) as running:
            loads[NAMES[1]].append(load(running.port, hello().one, **how))
    base = middle(loads[NAMES[1]]).rate
    rows = []
    for name in NAMES:
        done = middle(loads[name])
        figures = [f"{done.rate:,.0f}", f"{done.rate / base:.2f}", f"{done.p50_ms:.2f}", f"{done.p99_ms:.2f}"]
        rows.append([name, *figures, str(done.errors)])
    print(f"{describe_machine()}; server and wrk on a core each, {options.rounds} rounds of {options.seconds} s\n")
    heads = ["service", f"requests/s, {options.connections} clients", "× hello", "p50, ms", "p99, ms", "errors"]
    print(table(heads, rows))


def _etag(port: int, request: RequestTemplate) -> str:
    """Return the ETag of an answer, after a check that a request with it is answered by 304."""
    url = f"http://127.0.0.1:{port}{request.target}"
    with urllib.request.urlopen(url) as answer:
        etag = str(answer.headers["ETag"])
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers={"If-None-Match": etag})) as answer:
            status = answer.status
    except urllib.error.HTTPError as error:  # urllib raises it for every status other than 2xx
        status = error.code
    if status != 304:
        raise RuntimeError(f"{url} with its own ETag gave {status}, not 304")
    return etag


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.revalidation", description="Measure the rate of 304 answers."
    )
    add_load_options(parser, seconds=3)
    return parser


if __name__ == "__main__":
    main()
