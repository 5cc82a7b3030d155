"""`sample --out DIR`: the content of the shards, that their bytes are always the same, crashes, and mistakes.

The expected images are drawn one by one with the sampler. Other libraries than those that write the archives read them.
"""

import csv
import errno
import io
import json
import os
import pickle
import random
import resource
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count, groupby
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from harness.tiny_models import make_tiny_model_folder
from models.images import ImageShape
from models.inference.sampler import Sampler
from models.latents import INDEX_LIMIT, draw_latents
from models.model_folder.read import load_model
from models.networks.conditional import ask_for_class, labels_of
from tests.training.support import ROOT, command_line, environment
from training.bulk.processes import write_in_process
from training.bulk.request import FORMATS, MAX_SHARD_IMAGES, SUFFIXES, Format, check_folder, read_request
from training.bulk.shards import take_fingerprint
from training.cli.command_line import main
from training.errors import BulkError
from training.run.lock import only_writer

SEED, FIRST, N, SHARD_IMAGES = 7, 250, 360, 300  # 2 shards; the first has two chunks, the last is shorter
RGB = ImageShape(channels=3, height=16, width=16)

Fails = Callable[..., str]


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return make_tiny_model_folder(tmp_path / "tiny", z_dim=8, classes=3)


@pytest.fixture
def fails(capsys: pytest.CaptureFixture[str]) -> Fails:
    """Run a command that must exit with code 1 and print one message; return the message."""

    def check(*arguments: str | Path) -> str:
        capsys.readouterr()
        assert main([str(argument) for argument in arguments]) == 1
        stderr = capsys.readouterr().err
        assert stderr.startswith("error: ")
        assert stderr.count("\n") == 1
        return stderr.removeprefix("error: ").strip()

    return check


def bulk(model: Path, out: Path, *more: str | Path) -> list[str]:
    fixed = ["--n", N, "--seed", SEED, "--first", FIRST, "--shard-images", SHARD_IMAGES]
    return [str(argument) for argument in ["sample", model, *fixed, "--out", out, *more]]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def needs(format_name: Format) -> None:
    if format_name == "parquet":
        pytest.importorskip("pyarrow", reason="the extra `bulk`")


# --- What is in a shard -----------------------------------------------------------------------------------------------

Shard = dict[str, NDArray[np.generic]]
"""The arrays images, latents, indices, seeds and, if there are classes, digits."""


def read_npz(path: Path) -> Shard:
    with np.load(path, allow_pickle=False) as arrays:
        shard = dict(arrays)
    seed = shard.pop("seed")
    assert (seed.shape, seed.dtype) == ((), np.int64)
    return {**shard, "seeds": np.full(len(shard["images"]), seed)}


def read_png(folder: Path) -> Shard:
    with (folder / "metadata.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = [row["file_name"] for row in rows]
    assert sorted([*names, "latents.npy", "metadata.csv"]) == sorted(path.name for path in folder.iterdir())
    columns = {"indices": "index", "seeds": "seed", "digits": "digit"}
    return {
        "images": np.stack([pixels((folder / name).read_bytes()) for name in names]),
        "latents": np.load(folder / "latents.npy"),
        **{to: np.array([int(row[column]) for row in rows]) for to, column in columns.items() if column in rows[0]},
    }


def read_parquet(path: Path) -> Shard:
    from pyarrow import parquet

    table = parquet.read_table(path).combine_chunks()
    tensors = {"images": "image", "latents": "latent"}
    columns = {"indices": "index", "seeds": "seed", "digits": "digit"}
    return {
        **{to: table[column].combine_chunks().to_numpy_ndarray() for to, column in tensors.items()},
        **{to: table[column].to_numpy() for to, column in columns.items() if column in table.column_names},
    }


def read_webdataset(path: Path) -> Shard:
    """Read like WebDataset: neighbours whose names agree up to the first dot are one sample."""
    samples = []
    with tarfile.open(path) as archive:
        for key, group in groupby(archive.getmembers(), key=lambda member: member.name.partition(".")[0]):
            files = {member.name.partition(".")[2]: archive.extractfile(member).read() for member in group}  # type: ignore[union-attr]
            assert set(files) == {"json", "latent.npy", "png"}
            samples.append((key, files))
    keys = [key for key, _ in samples]
    assert keys == sorted(set(keys))
    facts = [json.loads(files["json"]) for _, files in samples]
    assert [int(key) for key in keys] == [fact["index"] for fact in facts]
    columns = {"indices": "index", "seeds": "seed", "digits": "digit"}
    return {
        "images": np.stack([pixels(files["png"]) for _, files in samples]),
        "latents": np.stack([np.load(io.BytesIO(files["latent.npy"])) for _, files in samples]),
        **{to: np.array([fact[name] for fact in facts]) for to, name in columns.items() if name in facts[0]},
    }


READERS: dict[Format, Callable[[Path], Shard]] = {
    "npz": read_npz,
    "png": read_png,
    "parquet": read_parquet,
    "webdataset": read_webdataset,
}


def pixels(data: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(data)) as image:
        assert image.format == "PNG"
        return np.asarray(image)


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize(
    ("classes", "shape", "options"),
    [
        (3, ImageShape(), {}),
        (0, RGB, {}),
        (3, ImageShape(height=16, width=16), {"digit": 2, "truncation": 0.5}),
    ],
    ids=["classes", "rgb", "asked"],
)
def test_a_folder_holds_the_images_their_latents_and_what_they_are(
    tmp_path: Path, format_name: Format, classes: int, shape: ImageShape, options: dict[str, float]
):
    needs(format_name)
    path = make_tiny_model_folder(tmp_path / "tiny", z_dim=8, classes=classes, image_shape=shape)
    asked = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    assert main(bulk(path, tmp_path / "out", "--format", format_name, *asked)) == 0

    names = sorted(entry.name for entry in (tmp_path / "out").iterdir())
    suffix = {"npz": ".npz", "png": "", "parquet": ".parquet", "webdataset": ".tar"}[format_name]
    assert names == ["bulk.json", f"shard-000000{suffix}", f"shard-000001{suffix}"]
    shards = [READERS[format_name](tmp_path / "out" / name) for name in names[1:]]
    assert [len(shard["images"]) for shard in shards] == [SHARD_IMAGES, N - SHARD_IMAGES]
    seen = {what: np.concatenate([shard[what] for shard in shards]) for what in shards[0]}

    model = load_model(path)
    psi = options.get("truncation", 1.0)
    latents = draw_latents(SEED, FIRST, N, z_dim=8, prior="normal", truncation=psi, ballots=classes)
    if "digit" in options:
        latents = ask_for_class(latents, int(options["digit"]), head_starts=model.head_starts)
    sampler = Sampler(model.generator, z_dim=8, image_shape=shape)
    assert set(seen) == {"images", "latents", "indices", "seeds", *(["digits"] if classes else [])}
    assert seen["images"].dtype == np.uint8
    assert seen["latents"].dtype == np.float32
    np.testing.assert_array_equal(seen["latents"], latents)
    np.testing.assert_array_equal(seen["indices"], np.arange(FIRST, FIRST + N))
    assert set(seen["seeds"].tolist()) == {SEED}
    for row in range(0, N, 23):
        np.testing.assert_array_equal(seen["images"][row], sampler(latents[row : row + 1])[0])
    if "digit" in options:
        assert set(seen["digits"].tolist()) == {2}
    if classes:
        named = labels_of(torch.from_numpy(latents), head_starts=torch.from_numpy(model.head_starts))
        np.testing.assert_array_equal(seen["digits"], named)
    assert len({image.tobytes() for image in seen["images"]}) > N / 2


def test_a_tar_is_the_one_that_tarfile_writes(tiny: Path, tmp_path: Path):
    assert main(["sample", str(tiny), "--n", "20", "--format", "webdataset", "--out", str(tmp_path / "out")]) == 0
    ours = tmp_path / "out" / "shard-000000.tar"
    with tarfile.open(ours) as read, tarfile.open(tmp_path / "theirs.tar", "w", format=tarfile.USTAR_FORMAT) as written:
        for member in read.getmembers():
            entry = tarfile.TarInfo(member.name)
            entry.size = member.size
            written.addfile(entry, read.extractfile(member))
    assert ours.read_bytes() == (tmp_path / "theirs.tar").read_bytes()


# --- The same bytes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format_name", FORMATS)
def test_the_bytes_depend_on_neither_the_day_nor_the_order(
    tiny: Path, tmp_path: Path, format_name: Format, monkeypatch: pytest.MonkeyPatch
):
    needs(format_name)
    assert main(bulk(tiny, tmp_path / "a", "--format", format_name)) == 0
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "bulk.json").write_bytes((tmp_path / "a" / "bulk.json").read_bytes())
    request = read_request(tmp_path / "a" / "bulk.json").model_dump_json()
    monkeypatch.setattr(time, "time", lambda: 2e9)  # 2033
    monkeypatch.setattr(time, "localtime", lambda *_: time.gmtime(2e9))
    umask = os.umask(0o077)
    try:
        written = [write_in_process(str(tiny), request, str(tmp_path / "b"), number) for number in (1, 0)]
    finally:
        os.umask(umask)
    assert written == [N - SHARD_IMAGES, SHARD_IMAGES]
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_an_image_is_the_same_in_any_shard(tiny: Path, tmp_path: Path):
    assert main(bulk(tiny, tmp_path / "a")) == 0
    assert (
        main(["sample", str(tiny), "--n", "5", "--seed", str(SEED), "--first", "548", "--out", str(tmp_path / "b")])
        == 0
    )
    large = [read_npz(tmp_path / "a" / f"shard-00000{number}.npz") for number in (0, 1)]
    small = read_npz(tmp_path / "b" / "shard-000000.npz")
    for what, array in small.items():
        both = np.concatenate([large[0][what], large[1][what]])
        np.testing.assert_array_equal(array, both[548 - FIRST : 553 - FIRST])


def test_the_same_request_goes_on_where_it_stopped(tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out = tmp_path / "new" / "out"
    assert main(bulk(tiny, out)) == 0
    assert capsys.readouterr().out == f"wrote images 250 to 609 of seed 7: 2 shard(s) of npz in {out}\n"
    whole = contents(out)
    (out / "shard-000000.npz").unlink()
    (out / ".shard-000000.npz.0a1b2c3d.tmp").write_bytes(whole["shard-000000.npz"][:1000])
    (out / ".shard-000001.1234abcd.tmp").mkdir()
    (out / ".shard-000001.1234abcd.tmp" / "x.png").write_bytes(b"x")
    kept = (out / "shard-000001.npz").stat()
    assert main(bulk(tiny, out)) == 0
    told = f"wrote images 250 to 609 of seed 7: 2 shard(s) of npz in {out} (60 images were there already)\n"
    assert capsys.readouterr().out == told
    assert contents(out) == whole
    assert (out / "shard-000001.npz").stat().st_ino == kept.st_ino
    assert (out / "shard-000001.npz").stat().st_mtime_ns == kept.st_mtime_ns
    assert sorted(path.name for path in out.iterdir()) == ["bulk.json", "shard-000000.npz", "shard-000001.npz"]


@pytest.mark.parametrize("format_name", FORMATS)
def test_a_shard_that_is_empty_or_cut_is_written_again(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], format_name: Format
):
    needs(format_name)
    out, suffix = tmp_path / "out", SUFFIXES[format_name]
    command = bulk(tiny, out, "--format", format_name)
    assert main(command) == 0
    whole = contents(out)
    capsys.readouterr()
    assert main(command) == 0
    assert capsys.readouterr().err == ""
    for cut in (0, 5, -1100):
        shard = out / f"shard-000001{suffix}"
        file = shard / f"{FIRST + SHARD_IMAGES + 3:012d}.png" if shard.is_dir() else shard
        if shard.is_dir() and cut:
            file.unlink()
        else:
            file.write_bytes(file.read_bytes()[:cut])
        assert main(command) == 0
        told = f"note: 1 shard(s) were empty or cut, and are written again: {shard.name}\n"
        assert capsys.readouterr().err == told
        assert contents(out) == whole


def test_a_persons_files_in_a_shard_are_not_lost(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], fails: Fails
):
    """Files beside the pictures of a whole shard stay. A shard that is cut is not removed with them."""
    out = tmp_path / "out"
    command = bulk(tiny, out, "--format", "png")
    assert main(command) == 0
    whole, shard = contents(out), out / "shard-000001"
    favourite, notes = shard / "favourite.png", shard / "notes.txt"
    favourite.write_bytes((shard / f"{FIRST + SHARD_IMAGES + 3:012d}.png").read_bytes())
    notes.write_text("a fine seven")
    capsys.readouterr()
    assert main(command) == 0
    assert capsys.readouterr().err == ""
    (shard / f"{FIRST + SHARD_IMAGES + 3:012d}.png").unlink()
    told = f"{shard} is cut and must be written again, but it holds favourite.png, notes.txt: move that elsewhere"
    assert told in fails(*command)
    assert notes.read_text() == "a fine seven"
    for own in (favourite, notes):
        own.unlink()
    (shard / ".DS_Store").touch()
    assert main(command) == 0
    assert contents(out) == whole


def test_shards_that_are_not_of_the_request(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], fails: Fails
):
    out = tmp_path / "out"
    assert main(bulk(tiny, out)) == 0
    for name in ("shard-000002.npz", "shard-000001.tar", "my notes.txt"):
        (out / name).write_bytes(b"")
    assert main(bulk(tiny, out)) == 0
    assert f"note: 2 shard(s) in {out} are not of this request: shard-000001.tar, shard-000002.npz. Move" in (
        capsys.readouterr().err
    )
    (out / "shard-000000.npz").unlink()
    (out / "shard-000000.npz").mkdir()
    assert "shard-000000.npz is a folder, and so no shard of npz: move it elsewhere" in fails(*bulk(tiny, out))


def test_a_fingerprint_sees_what_the_pixels_do_not_show(tiny: Path):
    model = load_model(tiny)
    before = take_fingerprint(model, Sampler.of_model(model), "npz")
    again = load_model(tiny)
    assert take_fingerprint(again, Sampler.of_model(again), "npz") == before
    assert take_fingerprint(model, Sampler.of_model(model), "webdataset") != before
    latents = draw_latents(0, 0, 64, z_dim=8, prior="normal")
    sampler = Sampler.of_model(model)
    last = [layer for layer in model.generator.modules() if isinstance(layer, torch.nn.Linear)][-1]
    last.weight.mul_(1 + 3e-7)
    other = Sampler.of_model(model)
    np.testing.assert_array_equal(sampler(latents), other(latents))
    assert take_fingerprint(model, other, "npz") != before


# --- Killed, or without room ------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_killed_before_every_sync_and_at_random_moments(tmp_path: Path):
    command = [sys.executable, "-m", "tests.training.bulk_kills", str(tmp_path)]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=800, check=False
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result.pop("differences") == []
    assert result["syncs"] == 18
    assert result["moments"] == 6


@pytest.mark.slow
def test_a_killed_command_goes_on_to_the_same_files(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Kill a real command, whose three processes end together. One process then writes the rest: the same files."""
    command = ["sample", str(tiny), "--shard-images", "8", "--n", "8001", "--out"]
    out = tmp_path / "killed"
    killed = command_line(*command, str(out), "--processes", "2")
    process = subprocess.Popen(killed, env=environment(), stderr=subprocess.PIPE, start_new_session=True)
    deadline = time.monotonic() + 600
    try:
        while len(list(out.glob("shard-*"))) < 10 and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.002)
        time.sleep(random.Random(2014).uniform(0, 0.1))
    finally:
        process.kill()
        _, stderr = process.communicate()
    assert process.returncode in {-signal.SIGKILL, 0}, stderr  # 0: on a busy machine it may end before it is killed
    wait_for_the_end_of(process.pid, deadline)

    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)
    assert main([*command, str(out)]) == 0
    assert main([*command, str(tmp_path / "whole")]) == 0
    assert contents(out) == contents(tmp_path / "whole")
    assert len(list(out.iterdir())) == 1002


def wait_for_the_end_of(group: int, deadline: float) -> None:
    """Wait until a process group has no process any more."""
    while True:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        assert time.monotonic() < deadline
        time.sleep(0.002)


@pytest.mark.parametrize("format_name", ["npz", "png"])  # a file, a folder
def test_a_disk_that_is_full_at_any_sync(
    tiny: Path, tmp_path: Path, format_name: Format, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    few = ["sample", str(tiny), "--n", "2", "--shard-images", "1", "--format", format_name, "--out"]
    assert main([*few, str(tmp_path / "whole")]) == 0
    for n in count(1):
        out = tmp_path / f"sync-{n}"
        capsys.readouterr()
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", the_nth_fails(n))
            code = main([*few, str(out)])
        if code == 0:
            break
        error = capsys.readouterr().err
        assert error.startswith(f"error: the disk is full ({out}"), error
        assert error.count("\n") == 1
        assert not [path for path in out.rglob("*") if path.name.endswith(".tmp")]
        assert main([*few, str(out)]) == 0
        assert contents(out) == contents(tmp_path / "whole")
    assert n > 5


def the_nth_fails(n: int) -> Callable[[int], None]:
    calls = count(1)

    def fsync(_descriptor: int) -> None:
        if next(calls) == n:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    return fsync


@contextmanager
def files_of_at_most(n_bytes: int) -> Iterator[None]:
    """Make the kernel refuse files of this process that are larger than `n_bytes`."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


# The limits are above the size of the fingerprint's small shard and of the model's file.
@pytest.mark.parametrize(("format_name", "limit"), [("npz", 150_000), ("parquet", 150_000), ("webdataset", 400_000)])
def test_a_write_that_fails_in_the_middle_of_a_shard(
    tiny: Path, tmp_path: Path, fails: Fails, format_name: Format, limit: int
):
    needs(format_name)
    options = ["--n", "1200", "--shard-images", "1000", "--format", format_name]
    command = bulk(tiny, tmp_path / "out", *options)
    with files_of_at_most(limit):
        message = fails(*command)
    assert "File too large: " in message  # pyarrow adds more text
    assert "shard-000000" in message
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["bulk.json"]
    assert main(command) == 0
    assert main(bulk(tiny, tmp_path / "whole", *options)) == 0
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_an_error_of_another_process_comes_back_whole():
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    full.filename = "out/shard-000003.npz"
    back = pickle.loads(pickle.dumps(full))  # noqa: S301
    assert (back.errno, back.filename) == (errno.ENOSPC, "out/shard-000003.npz")
    assert str(pickle.loads(pickle.dumps(BulkError("why")))) == "why"  # noqa: S301


# --- Mistakes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--digit", "3"], "--digit must be one of tiny's classes, 0 to 2, not 3"),
        (["--n", "1_000_001", "--shard-images", "1"], "1,000,001 images in shards of 1 are 1,000,001 files; at most"),
    ],
)
def test_what_cannot_be_drawn(tiny: Path, tmp_path: Path, fails: Fails, arguments: list[str], message: str):
    assert fails(*bulk(tiny, tmp_path / "out"), *arguments).startswith(message)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--n=0"], "argument --n: must be at least 1, not 0"),
        (["--n=-5"], "argument --n: must be at least 1, not -5"),
        (["--first=-1"], "argument --first: must be at least 0, not -1"),
        ([f"--first={INDEX_LIMIT - 359}"], "images beyond the last index, 2**53 - 1"),
        (["--seed=-1"], "argument --seed: must be 0 ≤ seed < 2**53, not -1"),
        (["--truncation=0"], "argument --truncation: must be above 0 and at most 1, not 0"),
        (["--truncation=nan"], "argument --truncation: must be above 0 and at most 1, not nan"),
        (["--shard-images=0"], "argument --shard-images: must be at least 1, not 0"),
        ([f"--shard-images={MAX_SHARD_IMAGES + 1}"], "--shard-images must be 1 to 100,000, not 100,001"),
    ],
)
def test_numbers_out_of_range_are_usage_errors(
    tiny: Path, tmp_path: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
):
    assert exit_code([*bulk(tiny, tmp_path / "out"), *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def exit_code(arguments: list[str | Path]) -> object:
    try:
        return main([str(argument) for argument in arguments])
    except SystemExit as stopped:
        return stopped.code


def test_the_last_images_of_a_seed(tiny: Path, tmp_path: Path):
    few = ["--n", "2", "--first", str(INDEX_LIMIT - 2), "--format", "png", "--out", str(tmp_path / "out")]
    assert main(["sample", str(tiny), *few]) == 0
    shard = read_png(tmp_path / "out" / "shard-000000")
    assert shard["indices"].tolist() == [INDEX_LIMIT - 2, INDEX_LIMIT - 1]


def test_a_digit_of_a_model_without_classes(tmp_path: Path, fails: Fails):
    model = make_tiny_model_folder(tmp_path / "plain")
    assert "plain is not conditional, so its class cannot be chosen (--digit 3)" in fails(
        *bulk(model, tmp_path / "out"), "--digit", "3"
    )


def test_a_folder_of_another_request(tiny: Path, tmp_path: Path, fails: Fails):
    out = tmp_path / "out"
    assert main(bulk(tiny, out)) == 0
    before = contents(out)
    for arguments, message in (
        (["--n", "361"], "n was 360, and is 361 now"),
        (["--seed", "8", "--first", "0"], "seed was 7, and is 8 now; first was 250, and is 0 now"),
        (["--digit", "1"], "digit was None, and is 1 now"),
        (["--truncation", "0.7"], "truncation was 1.0, and is 0.7 now"),
        (["--format", "webdataset"], "format was 'npz', and is 'webdataset' now"),
        (["--shard-images", "301"], "shard_images was 300, and is 301 now"),
    ):
        assert fails(*bulk(tiny, out), *arguments) == (
            f"{out} was begun by another request: {message}. Give the same options to continue it, or choose another "
            "--out"
        )
    assert contents(out) == before


def test_a_folder_of_another_model_or_of_a_machine_that_rounds_otherwise(tiny: Path, tmp_path: Path, fails: Fails):
    out = tmp_path / "out"
    assert main(bulk(tiny, out)) == 0
    text = (out / "bulk.json").read_text()
    fingerprint = read_request(out / "bulk.json").fingerprint
    (out / "bulk.json").write_text(text.replace(fingerprint, "0" * 64))
    assert "the same request gives other bytes: it has another kind of processor, or " in fails(*bulk(tiny, out))
    other = read_request(out / "bulk.json").model_dump_json()
    with pytest.raises(
        BulkError,
        match=r"on .* the same request gives other bytes than where the folder was begun: it has another kind of ",
    ):
        write_in_process(str(tiny), other, str(out), 0)
    (out / "bulk.json").write_text(text)
    make_tiny_model_folder(tiny, z_dim=8, classes=3, seed=1)
    assert "was begun by another request: model was 'tiny@" in fails(*bulk(tiny, out))
    with pytest.raises(
        BulkError, match=r"tiny holds tiny@[0-9a-f]{12} on this machine, not tiny@[0-9a-f]{12}: put the same model"
    ):
        write_in_process(str(tiny), read_request(out / "bulk.json").model_dump_json(), str(out), 0)


def test_a_folder_of_something_else(tiny: Path, tmp_path: Path, fails: Fails):
    out = tmp_path / "out"
    out.mkdir()
    (out / ".DS_Store").write_text("")
    (out / "._a").write_text("")
    check_folder(out)  # only a file manager was here
    for entry in list(out.iterdir()):
        entry.unlink()
    (out / "thesis.txt").write_text("mine")
    message = f"{out} is not a folder of samples: it has no bulk.json, but holds 'thesis.txt'. Choose another --out"
    assert fails(*bulk(tiny, out)) == message
    assert contents(out) == {"thesis.txt": b"mine"}
    assert fails(*bulk(tiny, out / "thesis.txt")) == f"{out / 'thesis.txt'} is not a folder: choose another --out"


def test_a_request_that_is_damaged(tiny: Path, tmp_path: Path, fails: Fails):
    out = tmp_path / "out"
    assert main(bulk(tiny, out)) == 0
    for damage in (
        b"",
        b"{",
        b'{"n": 3}',
        b"\xff",
        b"[]",
        (out / "bulk.json").read_bytes().replace(b": 1,", b": 2,", 1),
    ):
        (out / "bulk.json").write_bytes(damage)
        message = fails(*bulk(tiny, out))
        assert message.startswith(f"{out}/bulk.json is damaged, or was written by a newer version (")
        assert message.endswith("): repair it, or choose another --out")


def test_two_at_once(tiny: Path, tmp_path: Path, fails: Fails):
    out = tmp_path / "out"
    assert main(bulk(tiny, out)) == 0
    (out / "shard-000000.npz").unlink()
    with only_writer(out):
        assert fails(*bulk(tiny, out)) == (
            f"another process is writing samples into {out}: wait until it ends, stop it, or choose another --out"
        )
    assert not (out / "shard-000000.npz").exists()


def test_options_that_do_not_go_together(tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    picture = ["sample", str(tiny), "-o", str(tmp_path / "g.png")]
    for both in ([*picture, "--out", str(tmp_path / "out")], ["sample", str(tiny)]):
        with pytest.raises(SystemExit) as exited:
            main(both)
        assert exited.value.code == 2
        assert "--out" in capsys.readouterr().err
    assert main([*picture, "--format", "npz", "--shard-images", "3"]) == 2
    assert capsys.readouterr().err == (
        "error: --format, --shard-images cannot be used with -o FILE: leave the option out, or write shards with "
        "--out DIR\n"
    )
    assert main([*picture, "--ray"]) == 2
    assert "--ray cannot be used with -o FILE" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tiny"]


@pytest.mark.parametrize(
    ("module", "options", "message"),
    [
        (
            "pyarrow",
            ["--format", "parquet"],
            "--format parquet needs pyarrow, which is not installed: install it with pip install '.[bulk]'",
        ),
        ("ray", ["--ray"], "--ray needs Ray, which is not installed: install it with pip install '.[ray]'"),
    ],
)
def test_extras_that_are_not_installed(
    tiny: Path,
    tmp_path: Path,
    fails: Fails,
    module: str,
    options: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setitem(sys.modules, module, None)
    assert fails(*bulk(tiny, tmp_path / "out"), *options) == message


# --- Many machines ----------------------------------------------------------------------------------------------------


def test_ray_writes_the_identical_files(tiny: Path, tmp_path: Path):
    """A real Ray on this machine writes the missing shards; a shard that exists already is kept."""
    pytest.importorskip("ray.data", reason="the extra `ray`")
    options = ["--shard-images", "40", "--format", "parquet"]
    assert main(bulk(tiny, tmp_path / "one", *options)) == 0
    (tmp_path / "ray").mkdir()
    for name in ("bulk.json", "shard-000003.parquet"):
        (tmp_path / "ray" / name).write_bytes((tmp_path / "one" / name).read_bytes())
    kept = (tmp_path / "ray" / "shard-000003.parquet").stat().st_ino
    command = command_line(*bulk(tiny, tmp_path / "ray", *options), "--ray", "--processes", "2")
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=800, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(f"9 shard(s) of parquet in {tmp_path}/ray (40 images were there already)\n")
    assert contents(tmp_path / "ray") == contents(tmp_path / "one")
    assert (tmp_path / "ray" / "shard-000003.parquet").stat().st_ino == kept


@pytest.mark.parametrize("form", ["npz", "png", "parquet", "webdataset"])
def test_named_classes_are_in_every_format(tmp_path: Path, form: Format) -> None:
    needs(form)
    names = ("cat", "Käfer, rot", "2")
    model = make_tiny_model_folder(tmp_path / "named", z_dim=8, class_names=names)
    assert main(bulk(model, tmp_path / "out", "--format", form)) == 0
    shard = tmp_path / "out" / f"shard-000000{'' if form == 'png' else SUFFIXES[form]}"
    latents = load_model(model).draw_latents(SEED, FIRST, SHARD_IMAGES)
    labels = latents[:, -3:].argmax(axis=1)
    assert set(labels) == {0, 1, 2}
    wanted = [names[label] for label in labels]
    if form == "npz":
        with np.load(shard, allow_pickle=False) as arrays:
            assert arrays["class_names"].tolist() == list(names)
            assert (arrays["digits"] == labels).all()
    elif form == "png":
        with (shard / "metadata.csv").open(newline="", encoding="utf-8") as file:
            assert [row["class"] for row in csv.DictReader(file)] == wanted
    elif form == "parquet":
        from pyarrow import parquet

        assert parquet.read_table(shard)["class"].to_pylist() == wanted
    else:
        with tarfile.open(shard) as archive:
            files = [archive.extractfile(name) for name in archive.getnames() if name.endswith(".json")]
            facts = [json.loads(file.read()) for file in files if file is not None]
        assert [fact["class"] for fact in facts] == wanted
        assert [fact["digit"] for fact in facts] == labels.tolist()
