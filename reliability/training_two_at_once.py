"""Two processes on one run folder: `python -m reliability.training_two_at_once --tries 10`.

Two `fit` commands of one run folder are started at once. In a second part, a run is killed, which removes its lock, and
two `resume` commands are started at once. Of each two, one must train to the end as if it were alone, and the other
must exit with 1 and one line of error.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from harness.report import describe_machine, table
from reliability.trainings.kills import killed
from reliability.trainings.runs import (
    command,
    differences,
    fit_arguments,
    outcome,
    succeed,
    training_environment,
    write_data,
)
from training.run.folder import RunFolder

SETTINGS = ("epochs=200",)


def main() -> int:
    """Run the trial and print its table. Return 1 if something was wrong, otherwise 0."""
    parser = argparse.ArgumentParser(description="Start two processes on one run folder.")
    parser.add_argument("--tries", type=int, default=10, help="tries of each command (default: 10)")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(prefix="gan-two-") as work:
        data = write_data(Path(work) / "data.npz")
        whole = RunFolder(Path(work) / "whole")
        succeed(fit_arguments(data, whole, SETTINGS))
        wanted = outcome(whole)
        for verb in ("fit", "resume"):
            wrong = []
            for number in range(options.tries):
                folder = RunFolder(Path(work) / f"{verb}-{number}")
                arguments = fit_arguments(data, folder, SETTINGS)
                if verb == "resume":
                    killed(arguments, after_s=0.05)
                    arguments = ["resume", str(folder.path)]
                wrong.append(both(arguments) + differences(outcome(folder), wanted))
                print(f"{verb} {number}: {'; '.join(wrong[-1]) or 'as it should be'}", file=sys.stderr, flush=True)
            rows.append([f"two `{verb}`", str(options.tries), str(wrong.count([]))])
    print(f"{describe_machine()}\n")
    print(table(["started at once", "tries", "one trained to the same end, one error"], rows))
    return 0 if all(tries == well for _, tries, well in rows) else 1


def both(arguments: list[str]) -> list[str]:
    """Start a command twice at once. Return a line for each thing that was wrong with the two ends."""
    processes = [
        subprocess.Popen(
            command(arguments), env=training_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    ends = sorted((process.communicate()[1], process.returncode) for process in processes)
    errors = [said for said, code in ends if code == 1]
    if len(errors) != 1 or sum(code == 0 for _, code in ends) != 1:
        return [f"exit codes {[code for _, code in ends]}"]
    if errors[0].count("\n") != 1 or not errors[0].startswith("error: another process is training in "):
        return [f"said {errors[0]!r}"]
    return []


if __name__ == "__main__":
    sys.exit(main())
