"""Importing does no work, and `--help` loads nothing that it does not need."""

import json
import subprocess
import sys
from pathlib import Path

from tests.training.support import environment, run

SCRIPT = """
import json, sys
opened = []
def hook(event, arguments):
    if event == "open":
        opened.append(str(arguments[0]))
    if event.startswith(("subprocess.", "os.fork", "os.exec", "os.mkdir", "socket.")):
        opened.append(event)
import torch, numpy, PIL.Image, pydantic, safetensors.torch  # files that these read are not counted
sys.addaudithook(hook)
from training.cli.command_line import make_parser
make_parser()
# Python's own search for modules and plug-ins of an editable install is not counted either.
theirs = ("site-packages", ".egg-info/", "__path_hook__")
code = (".py", ".pyc", ".so")
own = [name for name in opened if not name.endswith(code) and not any(part in name for part in theirs)]
heavy = [name for name in ("matplotlib", "tensorboard", "torch.utils.tensorboard") if name in sys.modules]
print(json.dumps([own, heavy, torch.get_num_threads() > 0]))
"""


def test_importing_the_command_line_does_no_work(tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    own, heavy, _ = json.loads(done.stdout)
    assert heavy == []
    assert [name for name in own if "/lib/python" not in name and not name.startswith(("/proc", "/sys"))] == []
    assert not list(tmp_path.iterdir())


def test_help_of_the_whole_and_of_each_command(tmp_path: Path):
    whole = run("--help", cwd=tmp_path)
    assert whole.returncode == 0
    assert whole.stderr == ""
    for command in ("fit", "resume", "watch", "evaluate", "sample", "export", "judge", "onnx", "classifier"):
        assert command in whole.stdout
    assert "Train GANs, evaluate them, and draw images." in whole.stdout


def test_every_option_of_every_command_says_what_it_does():
    import argparse

    from training.cli.command_line import make_parser

    parser = make_parser()
    (commands,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    assert set(commands.choices) == {
        "fit",
        "resume",
        "watch",
        "evaluate",
        "sample",
        "export",
        "judge",
        "onnx",
        "classifier",
    }
    helps = {action.dest: action.help for action in commands._choices_actions}
    assert all(helps[name] for name in commands.choices)
    for name, command in commands.choices.items():
        assert command.description, name
        assert "usage: python -m training" in command.format_help()
        for action in command._actions:
            assert action.help, (name, action.dest)
