"""The trial of full disks, without a disk: it says where it cannot be done, and sees what is damaged."""

import subprocess
import sys
from pathlib import Path

import pytest

from harness.tiny_models import tiny_png
from reliability.training_full_disk import SETTINGS, WRITES, Moment, main, named
from reliability.trainings.damage import damaged
from reliability.trainings.runs import RECIPE, write_data
from training.config import resolve_config
from training.data.dataset import load_dataset
from training.recipe import load_recipe
from training.run.folder import RunFolder


def test_where_nothing_can_be_mounted_nothing_is_claimed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(sys, "argv", ["training_full_disk"])
    refused = subprocess.CompletedProcess([], 32, "", "mount: must be superuser to use mount.\n")
    monkeypatch.setattr(subprocess, "run", lambda *_args, **_kwargs: refused)
    assert main() == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        "nothing was tried: a tmpfs cannot be mounted here (mount: must be superuser to use mount.)\n"
    )


def test_every_file_of_a_run_is_tried():
    """But the files of epochs, by one name each."""
    assert {named(moment) for moment in WRITES} >= {
        *("config.json", "log.txt", "stats.jsonl", "events.jsonl", "curves.png"),
        *("checkpoint.safetensors", "best.safetensors", "events.out.tfevents.", "00000.png"),
    }
    assert named(Moment("", ".00003.png.tmp")) == "00003.png"
    assert load_recipe(str(RECIPE), list(SETTINGS)).metrics_every_epochs


def test_damage_is_seen(tmp_path: Path):
    folder = RunFolder(tmp_path / "run")
    data = write_data(tmp_path / "data.npz")
    config = resolve_config(
        load_recipe(str(RECIPE)),
        load_dataset(str(data)),
        recipe_name="tiny",
        overrides=(),
        data=str(data),
        seed=0,
        minutes=None,
        device="cpu",
        threads=1,
    )
    folder.create(config)
    folder.write_grid(0, tiny_png(200))
    folder.log("one line")
    assert damaged(folder) == []
    picture = folder.grids / "00000.png"
    picture.write_bytes(picture.read_bytes()[:-30])
    folder.log_file.write_text("one line\nhal")
    folder.checkpoint_file.write_bytes(b"")
    (folder.path / ".best.safetensors.tmp").write_bytes(b"")
    assert [text.split(" is damaged")[0] for text in damaged(folder)] == [
        "left behind: .best.safetensors.tmp",
        "log.txt",
        "checkpoint.safetensors",
        "00000.png",
    ]


def test_a_disk_is_filled_when_the_file_is_opened_for_the_nth_time(tmp_path: Path):
    """What would fill it only says so here."""
    script = (
        "import sys; from pathlib import Path; from reliability.trainings import disk_filler as fill; "
        "fill.fill = lambda filler: print('filled', filler, flush=True); "
        "fill.fill_when_opened('.a.*', 2, Path('F')); "
        "[print(open(f'{sys.argv[1]}/{name}', 'w').name[-4:], flush=True) for name in ('.a.t', '.b.t', '.a.u', '.a.v')]"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True, timeout=600
    )
    assert done.stdout.split("\n") == [".a.t", ".b.t", "filled F", ".a.u", ".a.v", ""]
