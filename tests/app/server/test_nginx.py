"""deploy/nginx/gan-cache.conf: a real nginx is in front of a real service, which counts the requests that reach it."""

import os
import pwd
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from gan_client import Client
from harness.repository import ROOT
from harness.service import Service
from tests.app.checks import assert_problem, png_bytes
from tests.app.server.test_supervisor import wait_until

CONFIGURATION = ROOT / "deploy" / "nginx" / "gan-cache.conf"
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
MAIN = """\
daemon off;
user {user};
worker_processes 2;
pid {folder}/nginx.pid;
error_log {folder}/error.log error;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/gan-cache.conf;
}}
"""

needs_nginx = pytest.mark.skipif(NGINX is None, reason="no nginx: apt-get install nginx-light")

pytestmark = needs_nginx


@dataclass
class Cache:
    """A running nginx, and the service behind it."""

    client: httpx.Client
    service: Service

    def drawn(self) -> float:
        """Return how many images the service has drawn. It counts them before it sends them."""
        return self.service.metric("gan_images_generated_total")

    def asked(self, route: str = "/v1/samples") -> float:
        """Return how many requests of a route were answered. An archive is counted a moment after its last byte."""
        answer = self.service.client.get("/metrics")
        families = {family.name: family for family in text_string_to_metric_families(answer.text)}
        return sum(
            sample.value
            for sample in families["gan_http_requests"].samples
            if sample.name.endswith("_total") and sample.labels["route"] == route
        )

    def permanent(self, query: str) -> str:
        """Ask the service itself for the permanent URL of an answer."""
        location: str = self.service.client.get(query).headers["content-location"]
        return location


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
    return port


def fitted(service: Service, folder: Path, port: int) -> str:
    """Return the configuration with the addresses and folders of this test."""
    text = CONFIGURATION.read_text()
    for own, here in {
        "server 127.0.0.1:8000;": f"server {httpx.URL(service.url).netloc.decode()};",
        "listen 8080;": f"listen 127.0.0.1:{port};",
        "/var/cache/nginx/gan ": f"{folder}/cache ",
    }.items():
        assert text.count(own) == 1, own
        text = text.replace(own, here)
    return text


@contextmanager
def cached(service: Service, folder: Path) -> Iterator[Cache]:
    port = free_port()
    with running_nginx(folder, fitted(service, folder, port), port) as client:
        yield Cache(client, service)


@contextmanager
def running_nginx(folder: Path, servers: str, port: int) -> Iterator[httpx.Client]:
    """Start nginx with these servers, one of which listens on the port, and yield a client that asks this one."""
    (folder / "nginx.conf").write_text(MAIN.format(folder=folder, user=pwd.getpwuid(os.getuid()).pw_name))
    (folder / "gan-cache.conf").write_text(servers)
    assert NGINX is not None
    log = folder / "error.log"
    process = subprocess.Popen([NGINX, "-p", folder, "-c", folder / "nginx.conf", "-e", log])

    def listens() -> bool:
        assert process.poll() is None, log.read_text()
        with socket.socket() as trial:
            return trial.connect_ex(("127.0.0.1", port)) == 0

    try:
        wait_until(listens, "nginx listens")
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            yield client
    finally:
        process.terminate()
        process.wait(timeout=120)
    assert log.read_text() == ""


@pytest.fixture(scope="module")
def cache(prefixed_service: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cache]:
    with cached(prefixed_service, tmp_path_factory.mktemp("nginx")) as started:
        yield started


@pytest.mark.parametrize("prefix", ["/gan", ""])
@pytest.mark.parametrize(
    "query",
    [
        "/v1/samples?n=3&seed=1",
        "/v1/samples?n=3&seed=1&format=json",
        "/v1/samples?n=600&seed=1&format=npz",
        "/v1/samples?n=3&seed=1&model=rgb&truncation=0.5",
        "/v1/interpolations?seeds=1,2&steps=2&format=gif",
    ],
)
def test_the_second_request_does_not_reach_the_service(cache: Cache, query: str, prefix: str) -> None:
    """This holds for permanent URLs, with the prefix and without it, as behind a proxy that removes it."""
    assert_kept(cache, prefix + cache.permanent(query).removeprefix("/gan"), cache.drawn)


def test_nor_does_that_for_a_picture_of_the_timeline(cache: Cache) -> None:
    version = cache.service.client.get("/v1/models/mnist-conv").json()["model"]
    url = cache.service.client.get(f"/v1/models/{version}/timeline").json()["pictures"][1]["url"]
    assert version in url
    assert_kept(cache, url, lambda: cache.asked("/v1/models/{name}/timeline/{epoch}.png"))


def assert_kept(cache: Cache, url: str, work: Callable[[], float]) -> None:
    """Check that three requests are as much work as one, and that all get the same body and headers."""
    before = work()
    direct = cache.service.client.get(url)
    after_one = work()
    answers = [cache.client.get(url) for _ in range(3)]
    assert work() - after_one == after_one - before > 0
    assert [answer.headers["x-cache"] for answer in answers] == ["MISS", "HIT", "HIT"]
    for answer in answers:
        assert answer.status_code == 200
        assert answer.content == direct.content
        assert lasting(answer) == lasting(direct)


def lasting(answer: httpx.Response) -> dict[str, str]:
    """Return the headers that every proxy leaves unchanged."""
    passing = {"x-cache", "date", "server", "connection", "content-length", "transfer-encoding"}
    return {name: value for name, value in answer.headers.items() if name not in passing}


def test_the_python_client_meets_the_cache(cache: Cache) -> None:
    """The client writes `@` as %40 in name@hash."""
    with Client(str(cache.client.base_url)) as gan:
        first = gan.samples(4, seed=11)
        before = cache.drawn()
        again, once_more = (gan.samples(4, seed=11, model=first.model) for _ in range(2))
        assert cache.drawn() == before + 4
    assert np.array_equal(again.images, first.images)
    assert np.array_equal(once_more.latents, first.latents)


def test_a_known_etag_gives_304_without_the_service(cache: Cache) -> None:
    url = cache.permanent("/v1/samples?n=2&seed=2")
    tag = cache.client.get(url).headers["etag"]
    before = cache.asked()
    answer = cache.client.get(url, headers={"If-None-Match": tag})
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
    assert cache.client.get(url, headers={"If-None-Match": '"other"'}).status_code == 200
    assert cache.asked() == before


def test_a_304_of_the_service_passes_through(cache: Cache) -> None:
    """Under a plain name the cache asks for each answer, and G does not run if the client has it already."""
    url = "/v1/samples?n=2&seed=3"
    first = cache.client.get(url)
    assert first.headers["cache-control"] == "no-cache"
    before, images = cache.asked(), cache.drawn()
    answer = cache.client.get(url, headers={"If-None-Match": first.headers["etag"]})
    assert (answer.status_code, answer.content) == (304, b"")
    assert cache.asked() == before + 1
    assert cache.drawn() == images
    assert "x-cache" not in answer.headers


@pytest.mark.parametrize(
    "url",
    ["/v1/samples?n=2&seed=4", "/v1/samples?n=2", "/v1/samples?n=2&format=npz", "/v1/samples?n=2&model={reference}"],
)
def test_what_may_not_be_kept_is_not(cache: Cache, url: str) -> None:
    """This holds for a plain name (no-cache), and for a drawn seed (no-store), with a version as well."""
    url = url.format(reference=cache.service.client.get("/v1/models/mnist-conv").json()["model"])
    before = cache.drawn()
    answers = [cache.client.get(url) for _ in range(3)]
    assert cache.drawn() == before + 3 * 2
    assert "HIT" not in {answer.headers.get("x-cache") for answer in answers}
    seeds = {answer.headers["x-seed"] for answer in answers}
    assert len(seeds) == (1 if "seed=" in url else 3)


def test_errors_are_not_kept(cache: Cache) -> None:
    """Errors are not kept even under a URL that looks permanent and will be so when the model is loaded again."""
    reference = cache.service.client.get("/v1/models/mnist-conv").json()["model"]
    for url, status in {
        f"/v1/samples?model={reference}&seed=5&n=0&format=png": 422,
        "/v1/samples?model=mnist-conv@000000000000&seed=5&n=1&format=png": 404,
    }.items():
        before = cache.asked()
        for _ in range(2):
            answer = cache.client.get(url)
            assert_problem(answer, status)
            assert answer.headers["x-cache"] == "MISS"
        assert cache.asked() == before + 2


def test_posts_pass_through(cache: Cache) -> None:
    reference = cache.service.client.get("/v1/models/mnist-conv").json()["model"]
    files = [("files", ("it.png", png_bytes(np.zeros((28, 28), np.uint8)), "image/png"))]
    for _ in range(2):
        answer = cache.client.post(f"/v1/score?model={reference}", files=files)
        assert (answer.status_code, answer.headers.get("x-cache")) == (200, None)
        answer = cache.client.post("/v1/samples", json={"model": reference, "seed": 5, "n": 1})
        assert (answer.status_code, answer.headers.get("x-cache")) == (200, None)


def test_the_body_limit_is_the_services_own(cache: Cache) -> None:
    """nginx's own limit of 1 MB does not apply."""
    files = [("files", ("it.png", b"\x89PNG" + bytes(3 * 2**20), "image/png"))]
    assert_problem(cache.client.post("/v1/score", files=files), 415)


def test_head_is_kept_as_get(cache: Cache) -> None:
    url = cache.permanent("/v1/samples?n=2&seed=6")
    before = cache.asked()
    head, get = cache.client.head(url), cache.client.get(url)
    assert cache.asked() == before + 1
    assert (head.content, head.headers["etag"]) == (b"", get.headers["etag"])
    assert get.headers["x-cache"] == "HIT"


def test_many_at_once_reach_the_service_once(cache: Cache) -> None:
    url = cache.permanent("/v1/samples?n=1&seed=7&format=npz").replace("n=1&", "n=5000&")
    images = cache.drawn()
    ready = threading.Barrier(12)
    found: list[tuple[int, bytes]] = []

    def ask() -> None:
        with httpx.Client(base_url=cache.client.base_url, timeout=60) as client:
            client.get("/healthz")
            ready.wait()
            answer = client.get(url)
            found.append((answer.status_code, answer.content))

    threads = [threading.Thread(target=ask) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {status for status, _ in found} == {200}
    assert len(found) == 12
    assert len({content for _, content in found}) == 1
    assert cache.drawn() == images + 5000


def test_another_order_of_parameters_is_another_entry(cache: Cache) -> None:
    """Both entries have the same bytes. Content-Location has one order, so clients that use it share one entry."""
    url = cache.permanent("/v1/samples?n=2&seed=8")
    path, _, query = url.partition("?")
    other = path + "?" + "&".join(reversed(query.split("&")))
    first, second = cache.client.get(url), cache.client.get(other)
    assert [answer.headers["x-cache"] for answer in (first, second)] == ["MISS", "MISS"]
    assert first.content == second.content
    assert first.headers["content-location"] == second.headers["content-location"] == url
    assert cache.client.get(other).headers["x-cache"] == "HIT"


def test_each_form_that_accept_chooses_is_an_entry(cache: Cache) -> None:
    version = cache.service.client.get("/v1/models/mnist-conv").json()["model"]
    url = f"/v1/samples?model={version}&seed=10&n=2"
    for _ in range(2):
        for kind in ("image/png", "application/json"):
            answer = cache.client.get(url, headers={"Accept": kind})
            assert (answer.headers["content-type"], answer.headers["vary"]) == (kind, "Accept")
    assert answer.headers["x-cache"] == "HIT"


@pytest.mark.parametrize(
    "url",
    [
        "/v1/samples?model=mnist-conv&seed=9&n=1&x=a@000000000000",
        "/v1/samples?xmodel=a@000000000000&seed=9&n=1",
        "/metrics?model=a@000000000000",
        "/?model=a@000000000000",
    ],
)
def test_urls_that_only_look_permanent(cache: Cache, url: str) -> None:
    assert "x-cache" not in cache.client.get(url).headers


def test_pages_pass_through(cache: Cache) -> None:
    for path in ("/", "/docs", "/readyz", "/v1/models", "/openapi.json"):
        through, direct = cache.client.get(path), cache.service.client.get(path)
        assert (through.status_code, through.content) == (200, direct.content)
