"""Write one shard under a temporary name, sync it, then rename it. So a file with a shard's name is complete."""

import hashlib
import os
import platform
import secrets
import shutil
import tempfile
from pathlib import Path

import numpy as np

from models.files import TEMPORARY_SUFFIX, naming, sync_folder
from models.inference.sampler import Sampler
from models.model_folder.loaded_model import LoadedModel
from training.bulk.drawing import SeedSampler
from training.bulk.formats import WRITERS
from training.bulk.request import WHY_OTHER_BYTES, BulkRequest, Format
from training.errors import BulkError

FINGERPRINT_IMAGES = 64


class ShardWriter:
    """Writes shards of one request into a folder, with a model that is loaded already.

    Raises:
        BulkError: the model is not the request's model, or gives other bytes here than on the machine that began the
            request.
    """

    def __init__(self, model: LoadedModel, request: BulkRequest, folder: Path) -> None:
        if model.sha256 != request.model_sha256:
            raise BulkError(
                f"{model.path} holds {model.reference} on this machine, not {request.model}: put the same model folder "
                "there on every machine"
            )
        sampler = Sampler.of_model(model)
        if take_fingerprint(model, sampler, request.format) != request.fingerprint:
            here = platform.node() or "this machine"
            raise BulkError(
                f"on {here} the same request gives other bytes than where the folder was begun: {WHY_OTHER_BYTES}"
            )
        self._request, self._folder = request, folder
        self._drawer = SeedSampler(
            model, sampler, seed=request.seed, digit=request.digit, truncation=request.truncation
        )

    def write(self, number: int) -> int:
        """Write the shard of this number, and return how many images it has.

        Two processes may write the same shard at once: their bytes are the same.

        Raises:
            OSError: the disk is full or cannot be written. The error names the shard, and nothing of the shard is left.
        """
        shard = self._request.shard(number)
        path = self._folder / shard.name
        temporary = path.with_name(f".{shard.name}.{secrets.token_hex(4)}{TEMPORARY_SUFFIX}")
        try:
            with naming(path):
                WRITERS[self._request.format](temporary, self._drawer, shard.first, shard.count)
                _sync(temporary)
                _rename(temporary, path)
        finally:
            remove(temporary)
        sync_folder(self._folder)
        return shard.count


def take_fingerprint(model: LoadedModel, sampler: Sampler, format_name: Format) -> str:
    """Return the SHA-256 of a small shard in this format, and of G's values before they are rounded to pixels.

    Two machines with the same fingerprint write the same bytes. The hash covers the unrounded values because pixels may
    hide a difference: a processor that rounds in another order changes one of 50,000 values, but only one of millions
    of pixels.
    """
    drawer = SeedSampler(model, sampler, seed=0)
    digest = hashlib.sha256()
    values = sampler.before_rounding(drawer.latents(0, FINGERPRINT_IMAGES))
    digest.update(np.ascontiguousarray(values.numpy()).data)
    with tempfile.TemporaryDirectory(prefix="gan-bulk-") as work:
        path = Path(work) / "shard"
        with naming(path):
            WRITERS[format_name](path, drawer, 0, FINGERPRINT_IMAGES)
        for file in [path] if path.is_file() else sorted(path.iterdir()):
            digest.update(file.name.encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def remove(path: Path) -> None:
    """Remove a file or a folder if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    """Sync a file, or a folder and the files in it, to the disk."""
    if not path.is_dir():
        with path.open("rb+") as file:
            os.fsync(file.fileno())
        return
    for file_path in path.iterdir():
        _sync(file_path)
    sync_folder(path)


def _rename(temporary: Path, path: Path) -> None:
    try:
        temporary.replace(path)
    except OSError:
        if not path.is_dir():  # another process may have written the same folder meanwhile
            raise
