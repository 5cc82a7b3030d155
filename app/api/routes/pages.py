"""The pages `/`, `/docs` and `/redoc`. This service itself delivers all of their assets."""

from pathlib import Path

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import FileResponse

from app.api import caching
from app.api.state import State
from app.api.static_files import CompressedStaticFiles, whole
from viewer import viewer_dir

STATIC = Path(__file__).parents[2] / "static"

_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data: blob:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# Swagger UI and Redoc set styles from scripts, and Redoc searches in a web worker that it makes from a blob.
_DOCS_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; worker-src 'self' blob:; "
    "object-src 'none'; base-uri 'none'; frame-ancestors 'none'"
)

router = APIRouter(include_in_schema=False)


@router.get("/")
async def get_page(request: Request) -> Response:
    """The playground. If requests need a key, the page is marked: its curl commands then send one."""
    state: State = request.app.state.gan
    return await _page(request, "index.html", _PAGE_POLICY, needs_key=bool(state.settings.api_keys))


@router.get("/docs")
async def get_docs(request: Request) -> Response:
    """The API reference, shown by Swagger UI, which can also send requests."""
    return await _page(request, "docs.html", _DOCS_POLICY)


@router.get("/redoc")
async def get_redoc(request: Request) -> Response:
    """The API reference, shown by Redoc."""
    return await _page(request, "redoc.html", _DOCS_POLICY)


def install(app: FastAPI) -> None:
    """Add the pages and their assets."""
    app.include_router(router)
    app.mount("/static/viewer", CompressedStaticFiles(directory=viewer_dir()), name="viewer")
    app.mount("/static", CompressedStaticFiles(directory=STATIC), name="static")


async def _page(request: Request, name: str, policy: str, *, needs_key: bool = False) -> Response:
    headers = {
        "Content-Security-Policy": policy,
        "Cache-Control": "no-cache",
    }
    file = STATIC / name
    found = FileResponse(file, media_type="text/html", headers=headers, stat_result=file.stat())
    page: Response = found
    if needs_key:
        marked = file.read_bytes().replace(b"<html ", b"<html data-needs-key ", 1)
        tag = found.headers["etag"].removesuffix('"') + '-key"'
        page = Response(marked, media_type="text/html", headers=headers | {"ETag": tag})
    if caching.matches(request.headers.get("if-none-match"), page.headers["etag"]):
        return Response(status_code=304, headers=headers | {"ETag": page.headers["etag"]})
    return page if needs_key else await whole(found, request.headers)
