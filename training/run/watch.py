"""`training watch`: an HTTP server with a web page that shows the progress of a run.

The server only reads the run folder. The run may continue, end or be resumed meanwhile, and several browsers may
connect at once.
"""

import json
import mimetypes
import re
import socket
import time
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from models.model_folder.history import History
from training.config import RunConfig
from training.errors import RunError
from training.evaluation.few_images import warn_of_few_images
from training.run.folder import RunFolder
from viewer import viewer_dir

PAGE = Path(__file__).with_name("watch_page")

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
_GRID = re.compile(r"/grids/(\d{1,9})\.png")


def make_server(folder: RunFolder, *, host: str, port: int) -> ThreadingHTTPServer:
    """Make the server of the page. It listens already, and answers once `serve_forever` is called.

    Args:
        folder: the run folder.
        host: address to listen on.
        port: TCP port to listen on; 0 takes a free one.

    Raises:
        RunError: the folder does not hold a run, or its configuration is damaged.
        OSError: the port is in use, or the address cannot be used.
    """
    folder.read_config()
    files = dict(_page_files())

    class Handler(_Handler):
        run = folder
        page = files

    class Server(ThreadingHTTPServer):
        address_family = _family(host, port)

    return Server((host, port), Handler)


def address_of(server: ThreadingHTTPServer, *, host: str) -> str:
    """Return the URL of the page; an IPv6 address stands in brackets."""
    return f"http://{f'[{host}]' if ':' in host else host}:{server.server_port}"


def _family(host: str, port: int) -> socket.AddressFamily:
    """Return the family of a host's address; IPv4 if it has addresses of both families, as `localhost` has."""
    families = [found[0] for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    return socket.AF_INET if socket.AF_INET in families else families[0]


def describe_run(folder: RunFolder) -> dict[str, Any]:
    """Return what the page shows: the run's name, its progress, its history, and its pictures.

    `game` says which game is played. `optimum` has the values that theory gives for its curves; None if it gives none.
    `written_s_ago` is the time in seconds since the run last wrote a file. `warning` says that there are few images to
    compare samples with; None if there are enough, or if the run measures no samples.

    Raises:
        RunError: a file of the run is damaged.
    """
    config, history = folder.read_config(), folder.read_history()
    grids = folder.grid_files()
    signs = [folder.config_file, folder.stats_file, folder.log_file, folder.checkpoint_file]
    recipe = config.recipe
    optimum = recipe.rules.optimum()
    few = warn_of_few_images(config.train_images, which="training") if recipe.metrics_every_epochs else None
    written = max(path.stat().st_mtime for path in signs if path.exists())
    return {
        "name": folder.path.resolve().name,
        "recipe": config.recipe_title,
        "data": config.data,
        "epochs": config.planned_epochs,
        "minutes": config.planned_minutes,
        "finished": has_ended(config, history),
        "written_s_ago": round(max(0.0, time.time() - written), 1),
        "warning": few,
        "history": history.model_dump(mode="json"),
        "game": config.game,
        "optimum": optimum and optimum.model_dump(mode="json"),
        # A resumed run draws some pictures again; the new address makes the browser load them.
        "pictures": [
            {"epoch": epoch, "url": f"grids/{epoch}.png?written={path.stat().st_mtime_ns}"}
            for epoch, path in grids.items()
        ],
    }


def has_ended(config: RunConfig, history: History) -> bool:
    """Whether a run has trained all its epochs, or its minutes are over, so that nothing more will be written."""
    if not history.epochs:
        return False
    last, minutes = history.epochs[-1], config.planned_minutes
    is_late = minutes is not None and last.seconds >= round(60 * minutes, 3)  # seconds are rounded, too
    return last.epoch >= config.planned_epochs or is_late


class _Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD requests. It writes nothing, and reads only files of the page and of the run."""

    run: RunFolder
    page: dict[str, Path]
    protocol_version = "HTTP/1.1"
    timeout = 30  # seconds that a client may take to send a request

    def do_GET(self) -> None:
        """Answer a GET request."""
        try:
            self._answer_get()
        except ConnectionError:  # the client has gone
            self.close_connection = True

    def do_HEAD(self) -> None:
        """Answer a HEAD request, with headers only."""
        self.do_GET()

    def _answer_get(self) -> None:
        path = self.path.partition("?")[0]
        try:
            body, media_type, cache = self._read(path)
        except RunError as error:
            self._fail(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))
        except (KeyError, FileNotFoundError):
            self._fail(HTTPStatus.NOT_FOUND, "there is nothing at this address; the page is at /")
        except OSError as error:
            self._fail(HTTPStatus.INTERNAL_SERVER_ERROR, f"{error.filename} cannot be read: {error.strerror}")
        else:
            self._answer(body, media_type, cache=cache)

    def _read(self, path: str) -> tuple[bytes, str, str]:
        """Return what is at a path of the page: its bytes, its media type, and its `Cache-Control`."""
        if path == "/run.json":
            return json.dumps(describe_run(self.run), allow_nan=False).encode(), "application/json", "no-store"
        if grid := _GRID.fullmatch(path):
            return self.run.grid_files()[int(grid[1])].read_bytes(), "image/png", "no-cache"
        file = self.page[path]
        return file.read_bytes(), mimetypes.guess_type(file.name)[0] or "text/plain", "no-cache"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (http.server defines this name)
        """Do not log requests, which would fill the terminal."""

    def _answer(self, body: bytes, media_type: str, *, cache: str, status: int = HTTPStatus.OK) -> None:
        self.send_response(status)
        for name, value in {
            "Content-Type": media_type,
            "Content-Length": str(len(body)),
            "Cache-Control": cache,
            "Content-Security-Policy": _POLICY,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
        }.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _fail(self, status: HTTPStatus, detail: str) -> None:
        body = json.dumps({"title": status.phrase, "status": status, "detail": detail}).encode()
        self._answer(body, "application/problem+json", cache="no-store", status=status)


def _page_files() -> Iterator[tuple[str, Path]]:
    """Yield the URL path and the file of each part of the page."""
    yield "/", PAGE / "index.html"
    for prefix, folder in (("/", PAGE), ("/viewer/", viewer_dir())):
        for file in folder.rglob("*"):
            if file.is_file():
                yield f"{prefix}{file.relative_to(folder).as_posix()}", file
