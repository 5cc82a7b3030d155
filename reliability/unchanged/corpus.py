"""The requests that are sent to both services: `requests()`."""

import base64
from collections.abc import Mapping
from itertools import product

from reliability.unchanged.drawings import SAMPLES, drawings, posted, slow_drawings
from reliability.unchanged.http_cases import ADMIN_KEY, FRIEND, GIVEN_IDS, KEY, STRANGER, Case
from reliability.unchanged.sockets import bytes_on_a_socket
from reliability.unchanged.uploads import projections, uploads

TRACEPARENT = f"00-{GIVEN_IDS[0]}-{GIVEN_IDS[1]}-01"


def requests(models: Mapping[str, int], static_files: list[str]) -> list[Case]:
    """Return the requests that take little time each, in the order of sending.

    Args:
        models: the size of a latent, by the `name@hash` of each model.
        static_files: paths of the pages' assets.
    """
    names = [reference.partition("@")[0] for reference in models]
    return [
        *drawings(models),
        *uploads(names),
        *_models([*names, *models]),
        *_others(static_files),
        *_observed(),
        *_origins(),
        *_keys(),
        *bytes_on_a_socket(),
    ]


def slow_requests(models: Mapping[str, int]) -> list[Case]:
    """Return the requests that take a second or more each: large answers, and projections by every model."""
    return [*slow_drawings(), *projections([reference.partition("@")[0] for reference in models])]


def _models(names: list[str]) -> list[Case]:
    below = (
        "",
        "/history",
        "/timeline",
        "/timeline/0.png",
        "/timeline/2.png",
        "/timeline/99999.png",
        "/timeline/x.png",
    )
    found = [f"/v1/models/{name}{path}" for name in names for path in below]
    strange = [
        "/v1/models/",
        "/v1/models/nobody",
        "/v1/models/nobody/history",
        "/v1/models/mnist-conv@x",
        "/v1/models/%00",
    ]
    strange += ["/v1/models/" + "x" * 101, "/v1/models/mnist-conv/timeline/-1.png", "/v1/models/mnist-conv/other"]
    targets = ["/v1/models", "/v1/models?x=1", *found, *strange]
    return [*map(Case, targets), *(Case(target, "HEAD") for target in targets[::6])]


def _others(static_files: list[str]) -> list[Case]:
    pages = ["/", "/docs", "/redoc", "/healthz", "/readyz", "/openapi.json", *static_files]
    none = [
        "/static/",
        "/static/nothing.js",
        "/static/../app.py",
        "/static/%2e%2e/main.py",
        "/v1",
        "/v1/",
        "/favicon.ico",
    ]
    none += ["//", "/v1/samples/", "/V1/samples", "/%761/samples?n=1&seed=7", "/admin", "/metrics/", "/x?" + "y" * 3000]
    posts = ["/", "/v1/models", "/healthz", "/openapi.json", "/static/index.html", "/v1/models/mnist-conv/history"]
    methods = [
        Case("/v1/samples?n=1&seed=7", method) for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "NONE")
    ]
    gets = [Case(path, method) for path in ("/v1/score", "/v1/projections") for method in ("GET", "HEAD", "PUT")]
    heads = [Case(target, "HEAD") for target in [*pages[:6], "/nothing"]]
    ranges = [
        Case("/static/index.html", headers=(("Range", r),)) for r in ("bytes=0-9", "bytes=-5", "bytes=99999999-", "x")
    ]
    metrics = Case("/metrics", is_drawn=True)
    return [
        *map(Case, [*pages, *none]),
        metrics,
        *(Case(post, "POST") for post in posts),
        *methods,
        *gets,
        *heads,
        *ranges,
    ]


def _observed() -> list[Case]:
    """Return requests with ids and traces that the client gives."""
    ids = ("mine-1", "a" * 64, "a" * 65, "with space", "", "ünicode".encode().decode("latin-1"), GIVEN_IDS[0])
    parents = (TRACEPARENT, TRACEPARENT + "-more", "01" + TRACEPARENT[2:] + "-more", "ff" + TRACEPARENT[2:], "x")
    targets = (f"{SAMPLES}?n=1&seed=7", f"{SAMPLES}?n=0", "/nothing")
    named = [Case(target, headers=(("X-Request-Id", one),)) for target, one in product(targets, ids)]
    traced = [Case(target, headers=(("Traceparent", one),)) for target, one in product(targets, parents)]
    return [*named, *traced, Case(targets[0], headers=(("X-Request-Id", "a"), ("X-Request-Id", "b")))]


def _origins() -> list[Case]:
    targets = (f"{SAMPLES}?n=1&seed=7", f"{SAMPLES}?n=0", "/healthz", "/nothing", "/", "/metrics/x")
    simple = [Case(target, headers=(("Origin", one),)) for target, one in product(targets, (FRIEND, STRANGER, "null"))]
    asked = [
        ("GET", ""),
        ("POST", "content-type"),
        ("POST", "authorization, x-request-id"),
        ("DELETE", ""),
        ("GET", "x-bad"),
    ]
    preflights = [
        Case(
            SAMPLES,
            "OPTIONS",
            (
                ("Origin", origin),
                ("Access-Control-Request-Method", method),
                ("Access-Control-Request-Headers", headers),
            ),
        )
        for origin, (method, headers) in product((FRIEND, STRANGER), asked)
    ]
    return [*simple, *preflights, Case(SAMPLES + "?n=1", headers=(("Origin", FRIEND),), is_drawn=True)]


def _keys() -> list[Case]:
    def basic(text: str) -> str:
        return "Basic " + base64.b64encode(text.encode()).decode()

    given = [f"Bearer {KEY}", f"bearer  {KEY} ", "Bearer wrong", "Bearer", "", f"Digest {KEY}", KEY, basic(f"me:{KEY}")]
    given += [basic(KEY), basic("me:wrong"), "Basic !", f"Bearer {ADMIN_KEY}", "Bearer ü".encode().decode("latin-1")]
    targets = (f"{SAMPLES}?n=1&seed=7", "/v1/models", "/healthz", "/readyz", "/nothing", "/")
    cases = [Case(target, headers=(("Authorization", one),)) for target, one in product(targets, given)]
    cases += [Case("/admin/reload", "POST", (("Authorization", one),)) for one in given]
    post = posted({"n": 1, "seed": 7})
    cases.append(Case(post.target, "POST", (*post.headers, ("Authorization", "")), post.body, note=post.note))
    return [*cases, Case("/admin/reload"), Case(targets[0], headers=(("Authorization", f"Bearer {KEY}"),) * 2)]
