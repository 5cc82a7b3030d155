"""The pages: `/`, `/docs` and `/redoc`, every asset from this service."""

from pathlib import Path

from fastapi import APIRouter, FastAPI
from fastapi.responses import FileResponse
from starlette.staticfiles import StaticFiles

from viewer import viewer_dir

STATIC = Path(__file__).parents[2] / "static"

_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data: blob:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# Swagger UI and Redoc set styles from scripts, and Redoc searches in a worker made of a blob.
_DOCS_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; worker-src 'self' blob:; "
    "object-src 'none'; base-uri 'none'; frame-ancestors 'none'"
)

router = APIRouter(include_in_schema=False)


@router.get("/")
async def get_page() -> FileResponse:
    """The playground."""
    return _page("index.html", _PAGE_POLICY)


@router.get("/docs")
async def get_docs() -> FileResponse:
    """Swagger UI."""
    return _page("docs.html", _DOCS_POLICY)


@router.get("/redoc")
async def get_redoc() -> FileResponse:
    """Redoc."""
    return _page("redoc.html", _DOCS_POLICY)


def install(app: FastAPI) -> None:
    """Add the pages and their assets."""
    app.include_router(router)
    app.mount("/static/viewer", StaticFiles(directory=viewer_dir()), name="viewer")
    app.mount("/static", StaticFiles(directory=STATIC), name="static")


def _page(name: str, policy: str) -> FileResponse:
    headers = {
        "Content-Security-Policy": policy,
        "Cache-Control": "no-cache",
    }
    return FileResponse(STATIC / name, media_type="text/html", headers=headers)
