"""Training by several processes: they play one game, hold one state, one of them writes, and none waits for ever.

Forked children (`tests.training.several`) play most scenes, once for all tests; the last scene is started by
`torch.distributed.run` itself.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.process_tree import ProcessId, tree_of
from models.networks.batch_part import WHOLE, Part
from tests.training.support import TINY_2014, environment, make_config, sets, tiny_recipe, write_npz
from training.config import RunConfig
from training.data.dataset import load_dataset
from training.errors import ProcessesError, RecipeError
from training.gan.distributed import ALONE, Processes, joined, number_of_processes, own_number
from training.run.folder import RunFolder
from training.run.loop import train
from training.run.writer import FolderWriter

Scenes = dict[str, Any]


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Scenes:
    done = subprocess.run(
        [sys.executable, "-m", "tests.training.several", str(tmp_path_factory.mktemp("several"))],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=800,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result: Scenes = json.loads(done.stdout.splitlines()[-1])
    return result


# --- A part of every batch ------------------------------------------------------------------------


def test_the_parts_of_a_batch_by_hand():
    batch = torch.arange(12)
    assert [Part(rank, 2).of(batch).tolist() for rank in (0, 1)] == [[0, 2, 4, 6, 8, 10], [1, 3, 5, 7, 9, 11]]
    assert [Part(rank, 3, 2).of(batch).tolist() for rank in range(3)] == [[0, 1, 6, 7], [2, 3, 8, 9], [4, 5, 10, 11]]
    assert Part(1, 2).of(torch.stack([batch, -batch]), dim=1).tolist() == [
        [1, 3, 5, 7, 9, 11],
        [-1, -3, -5, -7, -9, -11],
    ]
    images = batch.reshape(4, 1, 3, 1)
    assert torch.equal(Part(1, 2, 2).of(images), images[2:])
    assert WHOLE.of(batch) is batch
    assert (WHOLE.whole(6), Part(0, 3).whole(6)) == (6, 18)


@pytest.mark.parametrize("part", [Part(1, 2), Part(2, 3), Part(0, 2, 4), Part(1, 3, 2)])
def test_a_part_of_reals_and_fakes_is_that_of_the_reals_and_that_of_the_fakes(part: Part):
    real, fake = torch.arange(24), -torch.arange(24)
    assert torch.equal(part.of(torch.cat([real, fake])), torch.cat([part.of(real), part.of(fake)]))


def test_means_are_those_of_float64_and_the_same_everywhere(scenes: Scenes):
    for world in (2, 3):
        assert scenes["means"][f"error of {world}"] < 3e-7  # of numbers below 4: 2 roundings of 2⁻²³ each
        assert scenes["means"][f"difference of {world}"] == 0


@pytest.mark.parametrize(
    ("name", "tolerance"),
    [
        ("the paper's, dropped out", 1e-6),
        ("relativistic, conditional, penalties", 1e-6),
        ("packs, groups, dropout", 1e-6),
        ("relativistic, conditional, adaptive", 1e-6),
        ("WGAN-GP, augmented", 1e-4),  # λ = 10 and the root of a small norm make rounding larger
    ],
)
def test_two_processes_play_the_game_of_one(scenes: Scenes, name: str, tolerance: float):
    """After six steps of SGD, weights, averages, moments, figures and the random state must be equal.

    Another order of summing 16 float32 terms changes a sum by a few times 2⁻²⁴ of its size. A different row, mask,
    latent or shift would change the weights by as much as the steps do.
    """
    game = scenes["games"][name]
    assert game["steps"] == 6
    assert game["images"] == 1
    assert game["apart"] == 0
    assert game["moved"] > 1e-3
    assert game["error"] < min(tolerance, game["moved"] / 100)
    assert game["figures"] < 10 * tolerance


def test_batch_normalisation_is_of_a_part(scenes: Scenes):
    """The game then differs from one process's (decision 0010), but all processes have the same state."""
    game = scenes["normalised"]
    assert game["error"] > 1e-4
    assert game["apart"] == 0


def test_a_batch_that_cannot_be_shared_evenly(tmp_path: Path):
    data = write_npz(tmp_path / "data.npz")
    for overrides, processes, together, nearest, fewer in (
        (["batch_size=9"], 2, "", 8, 1),
        (["batch_size=9"], 4, "", 8, 3),
        (["batch_size=2"], 5, "", 5, 2),
        (["batch_size=12", "packing=2"], 4, " (D sees 2 images at once)", 16, 3),
    ):
        with pytest.raises(RecipeError) as error:
            make_config(tiny_recipe("mlp", *overrides), data, processes=processes)
        size = overrides[0].partition("=")[2]
        assert str(error.value) == (
            f"batch_size is {size}, which {processes} processes cannot share evenly{together}: "
            f"use `--set batch_size={nearest}`, or {fewer} process(es) (`--nproc-per-node {fewer}` on one machine)"
        )
        # Both hints work, and a run that has begun gets only the one that it can follow.
        make_config(tiny_recipe("mlp", *overrides[1:], f"batch_size={nearest}"), data, processes=processes)
        make_config(tiny_recipe("mlp", *overrides), data, processes=fewer)
        with pytest.raises(RecipeError) as error:
            tiny_recipe("mlp", *overrides).check_processes(processes, begun=True)
        assert str(error.value).endswith(f": use {fewer} process(es) (`--nproc-per-node {fewer}` on one machine)")
    make_config(tiny_recipe("mlp", "batch_size=9"), data, processes=3)


@pytest.mark.parametrize(
    ("devices", "advice"),
    [
        (0, "this machine has no CUDA device. Start a new run with `--device cpu`, or continue this one where "),
        (1, "process 1 of this machine has no CUDA device of its own; there are 1. Use `--nproc-per-node 1`, or "),
    ],
)
def test_more_processes_than_devices(devices: int, advice: str, monkeypatch: pytest.MonkeyPatch):
    variables = {"TORCHELASTIC_RUN_ID": "tests", "WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1"}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("torch.cuda.device_count", lambda: devices)
    with pytest.raises(ProcessesError) as error, joined("cuda"):
        pass
    assert str(error.value).startswith(advice)
    assert "--nproc-per-node 0" not in str(error.value)


def test_several_processes_on_mps(monkeypatch: pytest.MonkeyPatch):
    variables = {"TORCHELASTIC_RUN_ID": "tests", "WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0"}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with (
        pytest.raises(ProcessesError, match="'mps' is one GPU, which several processes cannot train on"),
        joined("mps"),
    ):
        pass


def test_more_processes_on_resuming_than_a_batch_can_be_shared_by(tmp_path: Path):
    config = make_config(tiny_recipe("mlp", "epochs=1"), write_npz(tmp_path / "data.npz"))
    folder = RunFolder(tmp_path / "run")
    folder.create(config)
    with FolderWriter(config, folder) as writer, pytest.raises(RecipeError, match="which 2 processes cannot share"):
        train(config, load_dataset(config.data), folder, writer, Processes(0, 2))  # before it contacts the other
    assert [path.name for path in folder.path.iterdir() if path.is_file()] == ["config.json"]


def test_one_process_talks_to_nobody():
    tensors = [torch.ones(2)]
    assert ALONE.average(tensors)[0] is tensors[0]
    assert ALONE.number_of_first(1.5) == 1.5
    assert ALONE.greatest(1.5, -2) == [1.5, -2]
    assert ALONE.figures_of_first(lambda: {"a": 1.0}) == {"a": 1.0}
    ALONE.check_same("the same", "anything")
    assert (number_of_processes(), own_number()) == (1, 0)


def test_variables_of_another_launcher_are_not_ours(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("RANK", "2")
    assert (number_of_processes(), own_number()) == (1, 0)


def test_a_run_of_before_there_were_several(tmp_path: Path):
    config = make_config(tiny_recipe("mlp"), write_npz(tmp_path / "data.npz"))
    old = config.model_dump(mode="json")
    del old["processes"]
    assert RunConfig.model_validate_json(json.dumps(old)) == config


# --- One state ------------------------------------------------------------------------------------


def test_killed_at_random_moments_they_end_in_the_same_bytes(scenes: Scenes):
    assert scenes["kills"]["differences"] == []
    assert scenes["kills"]["codes"] == [0] * 8
    assert scenes["kills"]["kills"] == 6


def test_a_nan_in_one_process_sends_both_back(scenes: Scenes):
    assert scenes["rollback"]["events"] == [
        [3, "not-finite", "went back to epoch 2; learning rates are now 0.5 times the recipe's"]
    ]
    assert scenes["rollback"]["steps"] == [{"before": 6, "after": 4}] * 2


def test_the_clock_of_the_first_ends_both(scenes: Scenes):
    assert scenes["minutes"] == [6, 6]


def test_figures_and_errors_of_the_first_are_everybodys(scenes: Scenes):
    assert scenes["figures"] == [[{"frechet": 1 / 3, "größe": 0.1}, "frechet of G's samples is nan"]] * 2


def test_processes_that_do_not_hold_the_same_say_which(scenes: Scenes):
    advice = (
        "Start all of them with the same command, from the same commit, on the same data, with the same version of "
        "PyTorch, and on machines of the same kind"
    )
    assert scenes["seeds"] == [
        {"ProcessesError": f"the 2 processes do not have the same {what}: these differ from process 0: 1. {advice}"}
        for what in ("settings", "settings", "state to begin with", "state to begin with")
    ]


def test_another_number_of_processes_goes_on_and_says_so(scenes: Scenes):
    log = scenes["fewer"]["log"]
    assert scenes["fewer"]["processes"] == [2, 1]
    assert (
        "this run began with 2 process(es) and continues with 1: sums are rounded differently, so the result will "
        "differ slightly from that of an uninterrupted run"
    ) in log
    assert log[-1].startswith("finished: 2 epochs, 72 images")


def test_two_processes_begin_from_a_model_and_go_on_past_the_end(scenes: Scenes):
    begun = scenes["begun"]
    assert begun["codes"] == [0, 0, 0, 0]
    assert begun["extensions"] == 1
    log = [re.sub("@[0-9a-f]{12}", "@…", line) for line in begun["log"]]
    assert log.count("taken from old@…: layers 0, 1, 3 of G; layers 1, 3 of D") == 1
    assert log.count("extended after epoch 1: the run goes on to epoch 2 (before: 1)") == 1
    assert log[-1].startswith("finished: 2 epochs, 72 images")


# --- One writer, and no one left waiting ----------------------------------------------------------


def test_the_first_alone_writes(scenes: Scenes):
    first, second = scenes["writers"]
    assert second == []
    for file in ("config.json", "stats.jsonl", "checkpoint.safetensors", "best.safetensors", "00002.png", "curves.png"):
        assert f".{file}.tmp" in first
    assert "log.txt" in first


def test_one_that_dies_ends_the_other(scenes: Scenes):
    first, second = scenes["death"]
    assert second == {"died": 77}
    assert first["ProcessesError"].startswith(
        "this process lost the others: one has ended, or has not answered for 30 minutes. Look for its message here or "
        "on its machine, then continue from the last saved state with `resume` (cause: "
    )


def test_one_that_is_silent_is_not_waited_for_for_ever(scenes: Scenes):
    first, second = scenes["silence"]
    assert first["ProcessesError"].startswith("this process lost the others: one has ended, or has not answered for ")
    assert second == {"died": -signal.SIGKILL}


def launched(*arguments: str | Path) -> list[str]:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    return [*launcher, "-m", "training", *map(str, arguments)]


def worker(members: list[ProcessId], rank: int) -> int:
    """Return the process with this rank."""
    wanted = f"\0RANK={rank}\0".encode()
    (pid,) = (member.pid for member in members if wanted in Path(f"/proc/{member.pid}/environ").read_bytes())
    return pid


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds the processes by /proc")
def test_as_torch_starts_them(tmp_path: Path):
    """Kill one of two processes: all end with a message, only one printed the log, and the run can be resumed."""
    data = write_npz(tmp_path / "data.npz")
    settings = sets([*TINY_2014, "batch_size=18", "checkpoint_interval_s=0"])
    folder = RunFolder(tmp_path / "run")
    fit = launched("fit", "goodfellow2014", "--epochs", "1000000", *settings, "--data", data, "--out", folder.path)
    process = subprocess.Popen(fit, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 600
        while not folder.checkpoint_file.exists():
            assert process.poll() is None, process.stderr and process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        members = tree_of(process.pid)
        os.kill(worker(members, 1), signal.SIGKILL)
        output, errors = process.communicate(timeout=600)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 1
    assert output == ""
    assert errors.count("started at epoch 1, step 0") == 1
    assert "Signal 9 (SIGKILL)" in errors
    assert not [member for member in members if Path(f"/proc/{member.pid}/stat").exists() and is_alive(member.pid)]
    assert folder.read_config().processes == 2


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
