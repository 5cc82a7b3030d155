"""Hot reload: reads the models folder again and serves what it contains now, without a restart.

New and changed folders are loaded and run once while the old models still answer; then the catalog is replaced in one
step. Requests in progress keep the models that they began with. If a folder has become unusable, the version loaded
before stays in service.
"""

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Awaitable, Callable
from dataclasses import replace

import torch
from fastapi import FastAPI

from app.api.schemas.admin import ReloadAnswer
from app.api.state import State
from app.inference.catalog import Catalog, load_catalog
from app.malloc import give_holes_back

_log = logging.getLogger(__name__)


class Reloader:
    """Reads the models folder again. One reload runs at a time.

    Args:
        app: the application whose state is replaced.
        device: the PyTorch device on which the networks run.
        warm: function that runs each network of a state's catalog once.
    """

    def __init__(self, app: FastAPI, *, device: torch.device, warm: Callable[[State], Awaitable[None]]) -> None:
        self._app = app
        self._device = device
        self._warm = warm
        self._lock = asyncio.Lock()
        self._tasks: set[asyncio.Task[ReloadAnswer]] = set()

    async def reload(self) -> ReloadAnswer:
        """Read the folder, serve what it contains, and return what has changed."""
        async with self._lock:
            state: State = self._app.state.gan
            before, settings = state.catalog, state.settings
            after = await asyncio.to_thread(
                load_catalog, settings.models_dir, default=settings.default_model, device=self._device, before=before
            )
            changed = replace(state, catalog=after)
            await self._warm(changed)
            self._app.state.gan = changed
            for served in before.models.values():
                if served.model.reference not in _references(after):
                    state.metrics.models.labels(served.model.reference, served.sampler.arithmetic).set(0)
            await asyncio.to_thread(give_holes_back)  # the memory that loading needed is free again
        answer = _compare(before, after)
        _log.info("the models folder was read again: %s", answer.model_dump_json())
        return answer

    def on_signal(self) -> None:
        """Make SIGHUP start a reload, if the system has this signal and this is the main thread, which receives it."""
        if hasattr(signal, "SIGHUP") and threading.current_thread() is threading.main_thread():
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._begin)

    def _begin(self) -> None:
        task = asyncio.create_task(self.reload())
        self._tasks.add(task)  # without a reference, the task might be garbage-collected before it ends
        task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[ReloadAnswer]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.error("the reload failed: the models loaded before are still served", exc_info=task.exception())


def tell_others() -> None:
    """Ask the supervisor to make every worker reload. Only a worker that is one of several may call this."""
    os.kill(os.getppid(), signal.SIGHUP)


def _references(catalog: Catalog) -> set[str]:
    return {served.model.reference for served in catalog.models.values()}


def _compare(before: Catalog, after: Catalog) -> ReloadAnswer:
    old = {name: served.model.reference for name, served in before.models.items()}
    new = {name: served.model.reference for name, served in after.models.items()}
    return ReloadAnswer(
        default=after.default,
        added=[reference for name, reference in new.items() if name not in old],
        changed=[reference for name, reference in new.items() if old.get(name, reference) != reference],
        removed=[reference for name, reference in old.items() if name not in new],
        kept=[reference for name, reference in new.items() if old.get(name) == reference],
        broken=dict(after.broken),
        models_folder=after.folder_state,
    )
