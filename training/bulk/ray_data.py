"""Shards as the rows of a Ray dataset: an actor on each processor of a cluster loads the model once and writes its own.

Every machine has the folder and the model at the same paths (a shared file system), and this package installed.
"""

import importlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from models.errors import ModelFolderError
from models.model_folder.loaded_model import LoadedModel
from training.bulk.processes import write_in_process
from training.bulk.request import BulkRequest
from training.errors import BulkError, TrainingError

BLOCKS_AN_ACTOR = 64
"""An actor takes one block of shards at a time. Many small blocks keep the wait for the slowest machine short."""


class ShardActor:
    """Writes shards; Ray makes one in each process.

    Args:
        model: path of the model folder.
        request: as JSON.
        folder: where the shards go.
    """

    def __init__(self, model: str, request: str, folder: str) -> None:
        self._task = (model, request, folder)

    def __call__(self, row: dict[str, np.int64]) -> dict[str, int | str]:
        """Write the shard of a row. An error is returned, since Ray would bury its message in a long traceback."""
        try:
            return {"images": write_in_process(*self._task, int(row["data"])), "error": "", "errno": 0, "file": ""}
        except OSError as error:
            text, file = error.strerror or str(error), str(error.filename or "")
            return {"images": 0, "error": text, "errno": error.errno or 0, "file": file}
        except (TrainingError, ModelFolderError) as error:
            return {"images": 0, "error": str(error), "errno": 0, "file": ""}


def write_with_ray(model: LoadedModel, request: BulkRequest, folder: Path, actors: int | None) -> Iterator[int]:
    """Yield the number of images of each shard as it is finished somewhere in the cluster.

    The cluster is the one of `RAY_ADDRESS`, or one that runs on this machine; without one, Ray is started here.

    Args:
        model: the model that draws.
        request: the images to draw.
        folder: where the shards go.
        actors: processes that write at once; None: as many as the cluster has processors.

    Raises:
        BulkError: Ray is not installed, or an actor cannot draw what the request asks for.
        OSError: a shard cannot be written.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # else Ray reports its use to its makers
    try:
        ray, data = importlib.import_module("ray"), importlib.import_module("ray.data")
    except ImportError as error:
        raise BulkError("--ray needs Ray, which is not installed: pip install '.[ray]'") from error
    missing = np.fromiter(request.missing(folder), dtype=np.int64)
    if not len(missing):
        return
    begun = not ray.is_initialized()
    if begun:
        ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.WARNING)
    try:
        data.DataContext.get_current().enable_progress_bars = False  # the command shows its own
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        actors = min(actors or max(1, int(ray.cluster_resources().get("CPU", 1))), len(missing))
        shards = data.from_numpy(np.array_split(missing, min(len(missing), BLOCKS_AN_ACTOR * actors)))
        written = shards.map(
            ShardActor,
            fn_constructor_args=(str(model.path.resolve()), request.model_dump_json(), str(folder.resolve())),
            compute=data.ActorPoolStrategy(size=actors),
            num_cpus=1,
        )
        for row in written.iter_rows():
            if row["errno"]:
                raise OSError(row["errno"], row["error"], row["file"])
            if row["error"]:
                raise BulkError(row["error"])
            yield row["images"]
    finally:
        if begun:
            ray.shutdown()
