"""The smallest service for Starlette, on which FastAPI is built: a route that answers N bytes to `/N`."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


async def _answer(request: Request) -> Response:
    return Response(bytes(request.path_params["length"]), media_type="image/png")


app = Starlette(routes=[Route("/{length:int}", _answer)])
