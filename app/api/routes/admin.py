"""`/admin/reload`: the models folder read again, for who runs the service."""

from typing import Annotated

from fastapi import APIRouter, Header, Request

from app.api.reload import Reloader, tell_others
from app.api.schemas.admin import ReloadAnswer
from app.api.state import SharedState
from app.middleware.auth import bearer_of, is_known, refused
from app.problems import Problem

router = APIRouter(include_in_schema=False)


@router.post("/admin/reload")
async def post_reload(
    request: Request,
    state: SharedState,
    authorization: Annotated[str | None, Header(max_length=4096)] = None,
) -> ReloadAnswer:
    """Serve new and changed model folders, and no longer those that are gone; no request is dropped.

    A folder that has become bad leaves the version loaded before in its place. SIGHUP does the same. Of several
    workers or replicas, the one that answers tells what it found, and the others are told to read the folder, too.
    """
    settings = state.settings
    if settings.admin_key is None:
        raise Problem(404, "there is no /admin here: GAN_ADMIN_KEY is not set")
    if not is_known(bearer_of((authorization or "").encode("latin-1")), [settings.admin_key]):
        raise refused("Bearer")
    reloader: Reloader = request.app.state.reloader
    answer = await reloader.reload()
    if state.replicas is not None:
        await state.replicas.reload()
    elif settings.workers > 1:
        tell_others()
    return answer
