"""The part "answers": what a real service answers, logs and counts under several settings."""

import http.client
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from reliability.unchanged.comparison import Outcome
from reliability.unchanged.corpus import requests, slow_requests
from reliability.unchanged.http_cases import ADMIN_KEY, DRAWN, FRIEND, HOST, KEY, Case, Headers, ask
from reliability.unchanged.logs import canonical_log, canonical_metrics
from reliability.unchanged.trees import Tree

STOP_TIMEOUT_S = 60


@dataclass(frozen=True)
class ComparedService:
    """A way to run the service.

    Attributes:
        settings: GAN_* variables, named without GAN_.
        headers: headers that are added to every request that does not have them.
        prefix: prefix of the path of every request.
        logs_in_order: whether a single process writes the log.
        takes_its_time: whether the slow requests are sent, too.
    """

    settings: dict[str, str] = field(default_factory=dict)
    headers: Headers = ()
    prefix: str = ""
    logs_in_order: bool = True
    takes_its_time: bool = False


_STANDING = {"PORT": "0", "ENGINE_TIMEOUT_S": "3600"}  # on a busy machine, too
_KEYS = {"API_KEYS": f"another,{KEY}"}
_ORIGINS = {"CORS_ORIGINS": f"{FRIEND},https://other.example"}
_LOG = {"LOG_FORMAT": "json", "ACCESS_LOG": "true", "ADMIN_KEY": ADMIN_KEY}
_PREFIX = {"ROOT_PATH": "/gan"}
_SMALL = {"MAX_BODY_BYTES": "2000", "MAX_QUEUE_IMAGES": "50", "MAX_FILE_PIXELS": "9000", "DEFAULT_MODEL": "mnist-mlp"}
_BEARER = (("Authorization", f"Bearer {KEY}"),)
_ORIGIN = (("Origin", FRIEND),)

SERVICES = {
    "default": ComparedService(takes_its_time=True),
    "keys": ComparedService(_KEYS, _BEARER),
    "CORS": ComparedService(_ORIGINS, _ORIGIN),
    "access log in JSON": ComparedService(_LOG),
    "access log as text": ComparedService({"ACCESS_LOG": "true"}),
    "path prefix": ComparedService(_PREFIX, prefix="/gan"),
    "small limits": ComparedService(_SMALL),
    "keys, CORS, log, path prefix": ComparedService(
        _KEYS | _ORIGINS | _LOG | _PREFIX, (*_BEARER, *_ORIGIN), takes_its_time=True
    ),
    "two workers, keys, log": ComparedService(_KEYS | _LOG | {"WORKERS": "2"}, _BEARER, logs_in_order=False),
}


def collect(tree: Tree, before: Tree) -> dict[str, Outcome]:
    """Start the service of a tree under each of the settings, and return what it answers and logs."""
    files = _static_files(before)  # of the tree before: a new file cannot have changed
    return {name: _under(tree, service, files) for name, service in SERVICES.items()}


def _under(tree: Tree, service: ComparedService, static_files: list[str]) -> Outcome:
    outcome: dict[str, bytes] = {}
    with _running(tree, service) as port:
        models = _models(port)
        for case in [*requests(models, static_files), *(slow_requests(models) if service.takes_its_time else [])]:
            name = case.name if case.name not in outcome else f"{case.name}; {len(outcome)}"
            answer = ask(port, case, service.headers, service.prefix)
            outcome[name] = answer.compared
            if answer.etag and case.method == "GET" and not case.is_drawn and not case.headers:
                again = Case(case.target, headers=(("If-None-Match", f'"x", {answer.etag}'),))
                known = ask(port, again, service.headers, service.prefix)
                outcome[f"{name}; its own tag"] = known.without(answer.etag) if answer.is_file else known.compared
        if service.logs_in_order:
            outcome |= canonical_metrics(_get(port, "/metrics"))
    if service.logs_in_order:
        outcome["log"] = canonical_log((tree.scratch / "service.log").read_text(encoding="utf-8"))
    return outcome


@contextmanager
def _running(tree: Tree, service: ComparedService) -> Iterator[int]:
    """Start `python -m app` on a free port, and end it by SIGTERM."""
    settings = {f"GAN_{name}": value for name, value in (_STANDING | service.settings).items()}
    with (tree.scratch / "service.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "app"],
            cwd=tree.scratch,
            env=tree.environment(settings),
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    if process.stdout is None:
        raise RuntimeError("no pipe")
    with process.stdout:
        try:
            line = process.stdout.readline()
            port = re.fullmatch(rf"Serving on http://{re.escape(HOST)}:(\d+)\n", line)
            if port is None:
                raise RuntimeError(
                    f"{tree.name}: the service said {line!r}: {(tree.scratch / 'service.log').read_text()}"
                )
            yield int(port[1])
        finally:
            process.terminate()
            process.wait(timeout=STOP_TIMEOUT_S)


def _models(port: int) -> dict[str, int]:
    """Return the size of a latent, by the `name@hash` of each model."""
    references = [model["model"] for model in json.loads(_get(port, "/v1/models"))["models"]]
    return {one: json.loads(_get(port, f"/v1/models/{one}"))["metadata"]["z_dim"] for one in references}


def _get(port: int, path: str) -> str:
    connection = http.client.HTTPConnection(HOST, port)
    connection.request("GET", path, headers={**dict(_BEARER), "X-Request-Id": DRAWN})
    text = connection.getresponse().read().decode()
    connection.close()
    return text


def _static_files(tree: Tree) -> list[str]:
    """Return the paths of the pages' assets, from the folders that hold them."""
    folders = {"/static": next(tree.path.glob("app/**/static")), "/static/viewer": next(tree.path.glob("**/viewer"))}
    return [
        f"{url}/{path.relative_to(folder).as_posix()}"
        for url, folder in folders.items()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    ]
