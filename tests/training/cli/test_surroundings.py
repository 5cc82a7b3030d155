"""The commands of training where nothing is made easy for them: see "What the tests make easier" in CONTRIBUTING.md."""

import csv
import json
import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.model_folder.read import load_model
from tests.permissions import obeying_permissions
from tests.training.in_turn import Done, in_turn
from tests.training.support import TINY_MLP, sets, tiny_images, write_npz, write_pngs
from training.cli.command_line import main
from training.run.folder import RunFolder

COUNTS = {"Äpfel & Birnen": (30, (40, 28)), "zebra's": (3, (24, 36)), "猫": (8, (30, 30))}
"""Number and size of the pictures of each class. Files come class by class, and one class has most of them."""

EVERYTHING = (
    'architecture={name="mlp", generator_widths=[8, 12], discriminator_widths=[10]}',
    *("z_dim=8", "batch_size=9", "image_side=16", "ema_halflife_images=30", "grid_every_epochs=1"),
    *("conditional=true", "loss=relativistic", "r1_gamma=1", "r2_gamma=1", "penalty_interval=2", "d_steps=2"),
    *("augmentation=0.5", "spectral_norm=true", "updates=alternating", "precision=bfloat16", "quantise=true"),
    *("metrics_every_epochs=1", "judge_steps=5", "encoder_steps=5", "checkpoint_interval_s=0"),
)
"""Every setting of a recipe that can be on together with the others."""

INDIA = timedelta(hours=5, minutes=30)


def plain(**variables: str) -> dict[str, str]:
    """Return the environment of a shell with almost nothing in it: no home, the locale C, no number of threads."""
    return {"PATH": os.environ["PATH"], "LC_ALL": "C", **variables}


def write_pictures(folder: Path) -> None:
    rng = np.random.default_rng(0)
    for name, (count, (height, width)) in COUNTS.items():
        (folder / name).mkdir(parents=True)
        for number, picture in enumerate(rng.integers(0, 256, (count, height, width, 3), dtype=np.uint8)):
            Image.fromarray(picture).save(folder / name / f"Bild {number:02d}.png")


@pytest.mark.slow
def test_the_whole_chain_away_from_home(tmp_path: Path) -> None:
    """Spaces, quotes and foreign letters in paths; another time zone; the umask 077; an output that is only ASCII."""
    here = tmp_path / "Ma 'Ünï' 数字 $x"
    here.mkdir()
    write_pictures(here / "meine bilder")
    fit = ["fit", "mlp", "--data", "meine bilder", "--out", "läufe/erster lauf", "--epochs", "2", *sets(EVERYTHING)]
    steps = [
        [*fit, "--on-collapse", "rollback"],
        ["resume", "läufe/erster lauf"],
        ["export", "läufe/erster lauf", "--to", "modelle 1/mein"],
        ["evaluate", "modelle 1/mein", "--data", "meine bilder", "--html", "bericht ä.html"],
        ["sample", "modelle 1/mein", "--n", "4", "--digit", "2", "-o", "猫.png"],
        ["sample", "modelle 1/mein", "--n", "20", "--seed", "7", "--out", "viele ö", "--format", "png"],
    ]
    began = datetime.now(UTC)
    umask = os.umask(0o077)
    try:
        strange = plain(TZ="Asia/Kolkata", PYTHONIOENCODING="ascii")
        done = in_turn(steps, cwd=here, environment=strange, prefix=obeying_permissions())
    finally:
        os.umask(umask)
    for each in done:
        assert each.code == 0, each.err
        assert "Traceback" not in each.err
        assert not re.search("matplotlib|tensorboard|cache directory|deprecat", each.err, re.IGNORECASE)
        assert each.out.isascii()
    assert r"Fr\xe9chet" in done[3].out
    config = RunFolder(here / "läufe" / "erster lauf").read_config()
    assert config.class_names == tuple(sorted(COUNTS))
    assert load_model(here / "modelle 1" / "mein").metadata.classes == len(COUNTS)
    assert {path.stat().st_mode & 0o077 for path in here.rglob("*") if path.stat().st_mtime >= began.timestamp()} == {0}
    first = (here / "läufe" / "erster lauf" / "log.txt").read_text(encoding="utf-8")[:19]
    logged = datetime.strptime(first, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)  # local time, as the log has it
    assert abs(logged - (began + INDIA)) < timedelta(minutes=20)
    again = ["sample", str(here / "modelle 1" / "mein"), "--n", "20", "--seed", "7", "--format", "png", "--out"]
    assert main([*again, str(tmp_path / "many")]) == 0
    assert shards(tmp_path / "many") == shards(here / "viele ö")


def shards(folder: Path) -> dict[str, bytes]:
    found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.png")}
    (table,) = folder.rglob("metadata.csv")
    with table.open(newline="", encoding="utf-8") as file:
        assert len(list(csv.reader(file))) == len(found) + 1 == 21
    return found


def test_what_permissions_refuse_is_one_line(tmp_path: Path) -> None:
    """Nothing here is played: the commands run without the right to pass over permissions."""
    write_pngs(tmp_path / "pics" / "a", tiny_images(12))
    write_pngs(tmp_path / "pics" / "b", tiny_images(12, seed=1))
    write_npz(tmp_path / "data.npz")
    (tmp_path / "no").mkdir(mode=0o555)
    (tmp_path / "my.toml").write_text("epochs = 1\n")
    options = ["--threads", "1", "--epochs", "1", *sets(TINY_MLP)]
    fit = ["fit", "mlp", "--data", "pics", *options, "--out"]
    steps: list[tuple[list[str], str]] = [
        ([*fit, "no/run"], "this user cannot write into "),
        (["chmod", "000", "pics/a/003.png"], ""),
        ([*fit, "some"], ""),
        ([*fit, "none", "--strict"], "pics/a/003.png cannot be read as an image: Permission denied; "),
        (["chmod", "000", "pics/b"], ""),
        ([*fit, "none"], "pics/b cannot be read: Permission denied; make it readable or take it out of the data"),
        (["chmod", "755", "pics/b"], ""),
        (["chmod", "000", "data.npz"], ""),
        (["fit", "mlp", "--data", "data.npz", *options, "--out", "none"], "data.npz cannot be read"),
        (["chmod", "000", "my.toml"], ""),
        (["fit", "my.toml", "--data", "pics", "--out", "none"], "Permission denied: my.toml"),
        (["export", "some", "--to", "no/model"], "no/model cannot be written: "),
        (["chmod", "555", "some"], ""),
        (["chmod", "444", "some/log.txt"], ""),
        (["export", "some", "--to", "model"], ""),
        (["resume", "some"], "Permission denied: some/log.txt"),
        (["chmod", "000", "some"], ""),
        (["resume", "some"], "Permission denied: some/config.json"),
        (["sample", "model", "--n", "4", "-o", "no/grid.png"], "Permission denied: no/grid.png"),
        (["sample", "model", "--n", "4", "--out", "no/shards"], "this user cannot write into "),
        (["chmod", "000", "model/model.safetensors"], ""),
        (["sample", "model", "--n", "4", "-o", "grid.png"], "model/model.safetensors"),
        (["chmod", "644", "model/model.safetensors"], ""),
        (["chmod", "755", "some"], ""),
        (["chmod", "555", "model/timeline"], ""),
        (["export", "some", "--to", "model"], "cannot remove the files in model/timeline; make it writable"),
        (["chmod", "755", "model/timeline"], ""),
        (["chmod", "555", "model"], ""),
        (["export", "some", "--to", "model"], "cannot remove the files in model; make it writable"),
        (["sample", "model", "--n", "4", "-o", "grid.png"], ""),
    ]
    done = iter(
        in_turn([step for step, _ in steps], cwd=tmp_path, environment=plain(), prefix=obeying_permissions()),
    )
    for step, message in steps:
        if step[0] != "chmod":
            check(step, next(done), message)
    assert not (tmp_path / "none").exists()
    assert "pics/a/003.png: Permission denied" in (tmp_path / "some" / "log.txt").read_text()
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []


def check(step: list[str], done: Done, message: str) -> None:
    """Check the exit code, and that an error is one line with this message."""
    assert "Traceback" not in done.err, step
    if not message:
        assert done.code == 0, (step, done.err)
        return
    assert done.code == 1, (step, done.err)
    _, error, text = done.err.partition("error: ")
    assert error
    assert message in text
    assert text.count("\n") == 1, text


@pytest.mark.parametrize("place", ["data", "out", "folder"])
def test_names_that_are_not_utf_8_are_refused_before_training(
    tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither config.json nor safetensors could hold such a path: a run in it could never be resumed."""
    odd = os.fsdecode(b"K\xe4fer")
    here = tmp_path / odd if place == "folder" else tmp_path
    here.mkdir(exist_ok=True)
    monkeypatch.chdir(here)
    data = f"{odd}.npz" if place == "data" else "data.npz"
    write_npz(here / data)
    out = odd if place == "out" else "run"
    assert main(["fit", "mlp", "--data", data, "--out", out, "--epochs", "1", *sets(TINY_MLP)]) == 1
    assert re.fullmatch(
        r"error: '.*K\\udce4fer.*' is not UTF-8, and the files of a run could not name it: rename the file or folder\n",
        capsys.readouterr().err,
    )
    assert not (here / out).exists()


def test_a_class_whose_name_is_not_utf_8(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An archive of an older system unpacks to such names. The two classes stay two, and are told apart."""
    for number, name in enumerate((b"K\xe4fer", b"K\xe5fer")):
        write_pngs(tmp_path / "pics" / os.fsdecode(name), tiny_images(12, seed=number))
    monkeypatch.chdir(tmp_path)
    assert main(["fit", "mlp", "--data", "pics", "--epochs", "1", "--dry-run", *sets(TINY_MLP)]) == 0
    config = capsys.readouterr().out.rpartition("}")[0] + "}"
    assert json.loads(config)["class_names"] == ["K\\udce4fer", "K\\udce5fer"]
