"""Write shards in several processes of this machine."""

import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache
from itertools import islice
from multiprocessing import get_context, parent_process
from pathlib import Path

import torch

from models.model_folder.loaded_model import LoadedModel
from models.model_folder.read import load_model
from training.bulk.request import BulkRequest
from training.bulk.shards import ShardWriter
from training.errors import BulkError


def write_in_processes(model: LoadedModel, request: BulkRequest, folder: Path, processes: int) -> Iterator[int]:
    """Write the missing shards, and yield the number of images of each one when it is done.

    At most two shards per process are submitted at a time, so that the queue does not grow with the request.

    Raises:
        BulkError: a process died.
    """
    task = (str(model.path.resolve()), request.model_dump_json(), str(folder))
    missing = request.missing(folder)
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=_begin_process) as pool:
        waiting: set[Future[int]] = set()
        try:
            while True:
                waiting |= {
                    pool.submit(write_in_process, *task, number)
                    for number in islice(missing, 2 * processes - len(waiting))
                }
                if not waiting:
                    return
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        except BrokenProcessPool as error:
            raise BulkError(
                "a process that wrote shards died (it was killed, or memory ran out): run the same command again to "
                "continue; fewer --processes need less memory"
            ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def write_in_process(model: str, request: str, folder: str, number: int) -> int:
    """Write one shard in this worker process. The process loads the model only once.

    Args:
        model: path of the model folder.
        request: the request as JSON.
        folder: folder of the shards.
        number: number of the shard, from 0.

    Returns:
        The number of images in the shard.
    """
    return _writer(model, request, folder).write(number)


@lru_cache(maxsize=1)
def _writer(model: str, request: str, folder: str) -> ShardWriter:
    torch.set_num_threads(1)
    return ShardWriter(load_model(Path(model)), BulkRequest.model_validate_json(request), Path(folder))


def _begin_process() -> None:
    """Make this process end at once and silently on Ctrl-C, and also when its parent ends for any reason."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
