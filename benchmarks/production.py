"""`python -m benchmarks.production [--base REV]`: what production settings cost, in requests/s for one image.

Our service is measured bare, with each setting alone, and with all of them; a setting that clients notice is used by
the client as well (a key, an Origin). With `--base`, the bare service of another git revision is measured in the same
rounds, from a temporary worktree, by the same client, and with the same models.

Servers and client (wrk) have a core each. All services run at the same time, but only one of them is under load; every
second round goes through them in the opposite order. A ratio is taken within each round, so that a machine that becomes
slower does not change it; the tables give medians of rounds.
"""

import argparse
import statistics
import sys
import urllib.request
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.load.options import add_load_options
from benchmarks.load.wrk import LoadResult, load, middle, need_wrk
from harness.pinned_services import started
from harness.report import describe_machine, table
from harness.repository import UnknownRevisionError, checked_out
from harness.service_specs import RequestTemplate, ServiceSpec, ours

KEY, ORIGIN = "a-key-for-measuring", "https://example.org"
ONE = "/v1/samples?n=1&format=png&seed=SEED"
GRID, BASE_ONE, BASE_GRID = "64 grid", "one image, base", "64 grid, base"
WARM_UP_S = 1

Loads = dict[str, list[LoadResult]]
"""The loads of all rounds, by the name of what was measured."""


@dataclass(frozen=True)
class Setting:
    """A way to run the service, and to ask it.

    Attributes:
        name: the name in the table.
        settings: GAN_* settings of the service.
        headers: headers of each request.
        target: path and query of each request.
        answered_with: headers of the answer that show that the setting is on.
    """

    name: str
    settings: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    target: str = ONE
    answered_with: tuple[str, ...] = ()


BARE = Setting("bare")
KEYS = Setting("API keys", {"api_keys": KEY}, {"Authorization": f"Bearer {KEY}"})
ACCESS_LOG = Setting("JSON access log", {"access_log": "true", "log_format": "json"}, answered_with=("X-Request-Id",))
CORS = Setting("CORS", {"cors_origins": ORIGIN}, {"Origin": ORIGIN}, answered_with=("Access-Control-Allow-Origin",))
DIGIT = Setting("digit=7", target=f"{ONE}&digit=7")
JSON = Setting("format=json", target=ONE.replace("png", "json"))
TOGETHER = Setting(
    "keys, access log, CORS, digit",
    KEYS.settings | ACCESS_LOG.settings | CORS.settings,
    KEYS.headers | CORS.headers,
    DIGIT.target,
    ACCESS_LOG.answered_with + CORS.answered_with,
)
SETTINGS = (BARE, KEYS, ACCESS_LOG, CORS, DIGIT, JSON, TOGETHER)


@dataclass(frozen=True)
class Run:
    """A service to start, and what to measure while it runs.

    Attributes:
        spec: the service.
        requests: the requests, by the name of what is measured.
    """

    spec: ServiceSpec
    requests: dict[str, RequestTemplate]


def main() -> None:
    """Measure and print the tables."""
    options = _parser().parse_args()
    need_wrk()
    try:
        with checked_out(options.base) if options.base else nullcontext() as base:
            loads = _measure(runs(options.models_dir, options.model, base), options)
    except UnknownRevisionError as error:
        sys.exit(f"error: {error}")
    print(f"{describe_machine()}; {options.model}, {options.connections} clients; server and wrk on a core each,")
    print(f"{options.rounds} rounds of {options.seconds} s\n")
    print(_settings_table(loads))
    if options.base:
        print(f"\n{_base_table(loads, options.base)}")


def runs(models_dir: Path, model: str, base: Path | None) -> list[Run]:
    """Return the services to start; settings that only change the request share a service.

    Args:
        models_dir: the folder of model folders.
        model: the model that draws; `digit=7` needs a conditional one.
        base: a checkout of another revision, if there is one to compare with.
    """
    spec = replace(ours(models_dir, model), log="{scratch}/service.log")
    groups: dict[tuple[tuple[str, str], ...], list[Setting]] = defaultdict(list)
    for setting in SETTINGS:
        groups[tuple(setting.settings.items())].append(setting)
    started_with = [
        Run(
            spec.with_settings(**dict(settings)),
            {setting.name: RequestTemplate(setting.target, headers=setting.headers) for setting in group},
        )
        for settings, group in groups.items()
    ]
    if base is None:
        return started_with
    bare = started_with[0]
    now = Run(bare.spec, bare.requests | {GRID: spec.grid})
    before = Run(replace(spec, name="base", folder=base), {BASE_ONE: spec.one, BASE_GRID: spec.grid})
    return [now, before, *started_with[1:]]


def _measure(services: Sequence[Run], options: argparse.Namespace) -> Loads:
    loads: Loads = defaultdict(list)
    with ExitStack() as stack:
        running = [(run, stack.enter_context(started(run.spec)).port) for run in services]
        for run, port in running:
            for name, request in run.requests.items():
                check_answer(port, name, request)
            load(port, run.spec.one, connections=options.connections, seconds=WARM_UP_S)
        for turn in range(options.rounds):
            print(f"round {turn + 1} of {options.rounds} …", file=sys.stderr)
            for run, port in running[:: 1 if turn % 2 == 0 else -1]:
                for name, request in run.requests.items():
                    done = load(port, request, connections=options.connections, seconds=options.seconds)
                    loads[name].append(done)
    return loads


def check_answer(port: int, name: str, request: RequestTemplate) -> None:
    """Ask once, and check that the answer shows the setting.

    Raises:
        RuntimeError: the answer lacks a header of the setting.
        urllib.error.HTTPError: the answer is an error.
    """
    url = f"http://127.0.0.1:{port}{request.target.replace('SEED', '0')}"
    with urllib.request.urlopen(urllib.request.Request(url, headers=request.headers)) as answer:
        wanted = next((setting.answered_with for setting in SETTINGS if setting.name == name), ())
        if missing := [header for header in wanted if header not in answer.headers]:
            raise RuntimeError(f"{name}: the answer lacks {', '.join(missing)}")


def _settings_table(loads: Loads) -> str:
    rows = []
    for setting in SETTINGS:
        done = middle(loads[setting.name])
        ratio, spread = _ratio(loads[setting.name], loads[BARE.name])
        rows.append([setting.name, f"{done.rate:,.0f}", ratio, spread, f"{done.p99_ms:.2f}", str(done.errors)])
    return table(["one image", "requests/s", "× bare", "lowest – highest", "p99, ms", "errors"], rows)


def _base_table(loads: Loads, revision: str) -> str:
    rows = []
    for kind, now, before in (("one image", BARE.name, BASE_ONE), ("64 grid", GRID, BASE_GRID)):
        rates = [middle(loads[name]).rate for name in (now, before)]
        errors = sum(done.errors for name in (now, before) for done in loads[name])
        rows.append([kind, *(f"{rate:,.0f}" for rate in rates), *_ratio(loads[now], loads[before]), str(errors)])
    return table(["bare", "requests/s now", f"at {revision}", "now / then", "lowest – highest", "errors"], rows)


def _ratio(these: Sequence[LoadResult], those: Sequence[LoadResult]) -> tuple[str, str]:
    """Return the median of the rounds' ratios, and their range."""
    ratios = sorted(this.rate / that.rate for this, that in zip(these, those, strict=True))
    return f"{statistics.median(ratios):.2f}", f"{ratios[0]:.2f} – {ratios[-1]:.2f}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.production", description="Measure what production settings cost."
    )
    add_load_options(parser, seconds=3, rounds=5)
    parser.add_argument(
        "--base", metavar="REV", help="a git revision whose bare service is measured too (default: none)"
    )
    return parser


if __name__ == "__main__":
    main()
