"""Write shards on a Ray cluster. Each shard is a row of a Ray dataset, and each CPU runs an actor that writes shards.

An actor loads the model once. Every machine must have this package installed, and the folder and the model at the same
paths (a shared file system).
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
"""Blocks of shards per actor. An actor takes one block at a time; many small blocks shorten the wait at the end."""


class ShardActor:
    """Writes shards. Ray makes one such object in each of its processes.

    Args:
        model: path of the model folder.
        request: the request as JSON.
        folder: folder of the shards.
    """

    def __init__(self, model: str, request: str, folder: str) -> None:
        self._task = (model, request, folder)

    def __call__(self, row: dict[str, np.int64]) -> dict[str, int | str]:
        """Write the shard of a row. An error is returned, because Ray would hide its message in a long traceback."""
        try:
            return {"images": write_in_process(*self._task, int(row["data"])), "error": "", "errno": 0, "file": ""}
        except OSError as error:
            text, file = error.strerror or str(error), str(error.filename or "")
            return {"images": 0, "error": text, "errno": error.errno or 0, "file": file}
        except (TrainingError, ModelFolderError) as error:
            return {"images": 0, "error": str(error), "errno": 0, "file": ""}


def write_with_ray(model: LoadedModel, request: BulkRequest, folder: Path, actors: int | None) -> Iterator[int]:
    """Write the missing shards on the cluster, and yield the number of images of each one when it is done.

    The cluster is the one that `RAY_ADDRESS` names, or one that runs on this machine. If there is none, Ray is started
    on this machine.

    Args:
        model: the model that draws.
        request: the images to draw.
        folder: folder of the shards.
        actors: number of Ray actors (worker processes) that write at the same time; None: one per CPU of the cluster.

    Raises:
        BulkError: Ray is not installed, or an actor cannot draw the images of the request.
        OSError: a shard cannot be written.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # otherwise Ray reports its use to its makers
    try:
        ray, data = importlib.import_module("ray"), importlib.import_module("ray.data")
    except ImportError as error:
        raise BulkError("--ray needs Ray, which is not installed: install it with pip install '.[ray]'") from error
    missing = np.fromiter(request.missing(folder), dtype=np.int64)
    if not len(missing):
        return
    begun = not ray.is_initialized()
    if begun:
        ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.WARNING)
    try:
        data.DataContext.get_current().enable_progress_bars = False  # the command shows its own progress bar
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
