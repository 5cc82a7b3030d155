"""Kill a training at a chosen moment."""

import signal
import subprocess
import time

from reliability.trainings.runs import command, training_environment


def killed(arguments: list[str], *, after_s: float) -> bool:
    """Kill a command `after_s` seconds after it has begun to train.

    Returns:
        Whether it was killed; False if it had already come to its end.

    Raises:
        RuntimeError: it failed by itself.
    """
    process = subprocess.Popen(
        command(arguments), env=training_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    if process.stderr is None:
        raise RuntimeError("no pipe")
    said = []
    for line in process.stderr:
        said.append(line)
        if line.startswith(("started", "resumed")):
            break
    time.sleep(after_s)
    process.kill()
    said += process.communicate()[1].splitlines(keepends=True)
    if process.returncode not in (0, -signal.SIGKILL):
        raise RuntimeError(f"{' '.join(arguments)} exited with {process.returncode}: {''.join(said)}")
    return process.returncode != 0 and not any(line.startswith("finished") for line in said)
