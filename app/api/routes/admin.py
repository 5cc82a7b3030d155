"""`/admin/reload`: the operator makes the service read the models folder again."""

from typing import Annotated

from fastapi import APIRouter, Header, Request
from starlette.types import Receive, Scope, Send

from app.api.reload import Reloader, tell_others
from app.api.schemas.admin import ReloadAnswer
from app.api.state import SharedState, State
from app.api.strict_route import StrictRoute
from app.middleware.auth import ADMIN_PATH, bearer_of, is_known, refused
from app.problems import Problem


class AdminRoute(StrictRoute):
    """A route that does not exist, whatever the method, unless GAN_ADMIN_KEY is set."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for the path of this route, or refuse its method."""
        state: State = scope["app"].state.gan
        if state.settings.admin_key is None:
            detail = f"{ADMIN_PATH} does not exist here, because GAN_ADMIN_KEY is not set; set it and restart"
            raise Problem(404, detail)
        await super().handle(scope, receive, send)


router = APIRouter(include_in_schema=False, route_class=AdminRoute)


@router.post(ADMIN_PATH)
async def post_reload(
    request: Request,
    state: SharedState,
    authorization: Annotated[str | None, Header(max_length=4096)] = None,
) -> ReloadAnswer:
    """Serve new and changed model folders, and stop serving those that are gone. No request is dropped.

    If a folder has become unusable, the version loaded before stays in service. SIGHUP does the same as this route.
    With several workers or replicas, the one that answers reports what it found, and the others read the folder, too.
    """
    settings = state.settings
    hashes = [] if settings.admin_key is None else [settings.admin_key]
    if not is_known(bearer_of((authorization or "").encode("latin-1")), hashes):
        raise refused("Bearer")
    reloader: Reloader = request.app.state.reloader
    answer = await reloader.reload()
    if state.replicas is not None:
        await state.replicas.reload()
    elif settings.workers > 1:
        tell_others()
    return answer
