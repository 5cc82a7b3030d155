"""Requests made from the served OpenAPI document: `python -m reliability.api_fuzz --cases 20000`.

Schemathesis reads /openapi.json of a real service and sends requests made from it: the examples, each limit and one
past it, random data that fits the schemas and data that does not, and chains along the document's links. No answer may
be a server error, and each must be as documented: its status, media type, headers and schema. Wrong requests must be
refused and right ones accepted. The models are tiny, so that the time goes into requests, and have the names of bundled
ones: one is conditional, one draws RGB. The table shows what the service itself has counted.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from harness.report import describe_machine, table
from harness.service import Service, running
from harness.tiny_models import write_models_named_as_bundled

CONFIG = Path(__file__).with_name("schemathesis.toml")
PHASES = ("examples", "coverage", "fuzzing", "stateful")
RANDOM_PHASES = ("fuzzing", "stateful")
"""The phases that send other requests with another seed."""

EXAMPLES = 300
"""Largest number of cases of each operation, and of chains, in a round."""

TIMEOUT_S = 3600


@dataclass(frozen=True)
class FuzzRound:
    """The cases and operations of one run of schemathesis, and its output if something was wrong."""

    cases: int
    operations: int
    wrong: str


def main() -> int:
    """Run the trial and print its table. Return 1 if something was not as documented, otherwise 0."""
    parser = argparse.ArgumentParser(description="Send requests made from the served OpenAPI document.")
    parser.add_argument("--cases", type=int, default=20_000, help="smallest number of cases (default: 20000)")
    parser.add_argument("--seed", type=int, default=2014, help="seed of the first round (default: 2014)")
    options = parser.parse_args()
    rounds: list[FuzzRound] = []
    with tempfile.TemporaryDirectory(prefix="gan-fuzz-") as work:
        folder = Path(work)
        with running(folder, models_dir=write_models_named_as_bundled(folder / "models"), log_level="error") as service:
            while (cases := sum(one.cases for one in rounds)) < options.cases and not any(one.wrong for one in rounds):
                phases = RANDOM_PHASES if rounds else PHASES
                rounds.append(
                    ask(service.url, folder, phases=phases, examples=EXAMPLES, seed=options.seed + len(rounds))
                )
                print(f"round {len(rounds)}: {rounds[-1].cases:,} cases", file=sys.stderr, flush=True)
            answers = count(service)
            log = service.log.read_text(encoding="utf-8")
    print(f"{describe_machine()}; {cases:,} cases in {len(rounds)} rounds, seed {options.seed}\n")
    print(answers_table(answers))
    wrong = [one.wrong for one in rounds if one.wrong]
    if any(status >= 500 for _, status in answers) or cases < options.cases:
        wrong.append(f"a server error, or fewer than {options.cases:,} cases")
    if log:
        wrong.append(f"the service's log is not empty:\n{log[:4000]}")
    print("".join(f"\n{text}" for text in wrong), end="")
    return 1 if wrong else 0


def ask(url: str, folder: Path, *, phases: tuple[str, ...], examples: int, seed: int) -> FuzzRound:
    """Run schemathesis.

    Args:
        url: the address of the service.
        folder: a folder in which schemathesis may write.
        phases: the phases to run, by schemathesis's names.
        examples: largest number of cases of each operation.
        seed: seed of the random cases.
    """
    report = folder / f"report-{seed}.json"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "--no-color", "--config-file", str(CONFIG)),
            *("run", f"{url}/openapi.json", "--phases", ",".join(phases), "--checks", "all"),
            *("--max-examples", str(examples), "--seed", str(seed), "--request-timeout", "60"),
            *("--continue-on-failure", "--generation-database", "none", "--suppress-health-check", "all"),
            *("--report", "json", "--report-json-path", str(report)),
        ],
        cwd=folder,
        env=os.environ | {"COLUMNS": "120"},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    told = json.loads(report.read_text(encoding="utf-8")) if report.exists() else {}
    whole = told.get("complete") and not told["errors"]
    return FuzzRound(
        cases=told.get("test_cases", {}).get("generated", 0),
        operations=(told.get("operations") or {}).get("tested", 0),
        wrong="" if done.returncode == 0 and whole else done.stdout + done.stderr,
    )


def count(service: Service) -> "Counter[tuple[str, int]]":
    """Return the service's own count of its answers, by "METHOD route" and status."""
    answers: Counter[tuple[str, int]] = Counter()
    for line in service.client.get("/metrics").text.splitlines():
        name, _, rest = line.partition("{")
        if name == "gan_http_requests_total":
            labels, _, value = rest.rpartition("} ")
            of = dict(part.split("=", 1) for part in labels.split(","))
            method, route, status = (of[label].strip('"') for label in ("method", "route", "status"))
            answers[f"{method} {route}", int(status)] += int(float(value))
    return answers


def answers_table(answers: "Counter[tuple[str, int]]") -> str:
    """Return a table of answers by route and status; all methods that a path does not take share one row."""
    taken = {route for route, status in answers if status != 405}
    merged: Counter[tuple[str, int]] = Counter()
    for (route, status), n in answers.items():
        merged[route if route in taken else "a method that the path does not take", status] += n
    statuses = sorted({status for _, status in merged})
    routes = sorted({route for route, _ in merged}, key=lambda route: route.partition(" ")[::-1])
    rows = [[route, *(f"{merged[route, status]:,}" for status in statuses)] for route in routes]
    sums = [f"{sum(n for (_, of), n in merged.items() if of == status):,}" for status in statuses]
    return table(["the service answered", *map(str, statuses)], [*rows, [f"all {merged.total():,}", *sums]])


if __name__ == "__main__":
    sys.exit(main())
