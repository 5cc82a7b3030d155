"""Importing `models` does no work: it reads no file, chooses no device, and imports neither `app` nor `training`."""

import os
import subprocess
import sys
from pathlib import Path

import models

PACKAGE = Path(models.__file__).parent

IMPORT_SCRIPT = """
import sys, threading
import numpy, pydantic, safetensors.torch, torch  # what they read is theirs
events = []
theirs = ("site-packages", ".egg-info", "__path_hook__", "/lib/python")
def hook(event, arguments):
    if event == "open" and not str(arguments[0]).endswith((".py", ".pyc", ".so")):
        events.append(str(arguments[0]))
    if event.startswith(("subprocess.", "os.fork", "os.exec", "os.mkdir", "socket.", "shutil.")):
        events.append(event)
def no_call(*_):
    events.append("torch was set up")
sys.addaudithook(hook)
threads, state = torch.get_num_threads(), torch.get_rng_state()
torch.set_num_threads = torch.cuda.is_available = torch.manual_seed = torch.set_default_device = no_call
import importlib, pkgutil, models
for module in pkgutil.walk_packages(models.__path__, "models."):
    importlib.import_module(module.name)
assert not [name for name in events if not any(part in name for part in theirs)], events
assert torch.get_num_threads() == threads and torch.equal(torch.get_rng_state(), state)
assert threading.active_count() == 1
rooms = ("app", "training", "fastapi", "PIL", "matplotlib")
assert not [name for name in sys.modules if name.split(".")[0] in rooms]
print(len([name for name in sys.modules if name.startswith("models.")]))
"""


def test_importing_models_does_no_work(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_SCRIPT],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(PACKAGE.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == len(list(PACKAGE.rglob("*.py"))) - 1  # all except the package's own `__init__`
    assert not list(tmp_path.iterdir())
