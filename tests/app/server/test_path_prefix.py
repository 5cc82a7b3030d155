"""GAN_ROOT_PATH behind a real nginx that leaves the prefix, behind one that removes it, and without nginx."""

import re
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser

from harness.service import Service
from tests.app.server.test_nginx import free_port, needs_nginx, running_nginx
from tests.browser import Visit, needs_chromium

SERVER = """\
server {{
    listen 127.0.0.1:{port};
    location /gan/ {{ proxy_pass {target}; {more} }}
}}
"""
PROXIES = {
    "leaves the prefix": ("", ""),
    "removes the prefix": ("/", ""),
    "leaves the prefix, and passes the host on without its port": ("", "proxy_set_header Host $host;"),
    "removes the prefix, and passes the host on without its port": ("/", "proxy_set_header Host $host;"),
}
"""The end of nginx's `proxy_pass`, and further lines."""

pytestmark = needs_nginx


@pytest.fixture(scope="module", params=PROXIES)
def proxied(
    request: pytest.FixtureRequest, prefixed_service: Service, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    end, more = PROXIES[request.param]
    port = free_port()
    servers = SERVER.format(port=port, target=f"{prefixed_service.url}{end}", more=more)
    with running_nginx(tmp_path_factory.mktemp("nginx"), servers, port) as client:
        yield client


@pytest.mark.parametrize("page", ["", "docs", "redoc"])
def test_every_file_of_a_page_is_there(proxied: httpx.Client, page: str) -> None:
    address = proxied.base_url.join(f"/gan/{page}")
    found = re.findall(r'(?:href|src)="(static/[^"]+)"', proxied.get(address).text)
    assert len(found) >= 3
    for name in found:
        answer = proxied.get(address.join(name))
        assert answer.status_code == 200, name
        assert answer.content == proxied.get(f"/gan/{name}").content


@pytest.mark.parametrize(
    ("asked", "leads"),
    [
        ("/gan/v1/models/", "/gan/v1/models"),
        ("/gan/docs/", "/gan/docs"),
        ("/gan/v1/samples/?n=1&seed=7&model=conv", "/gan/v1/samples?n=1&seed=7&model=conv"),
        ("/gan/v1/models/conv/", "/gan/v1/models/conv"),
    ],
)
def test_a_redirect_stays_behind_the_proxy(proxied: httpx.Client, asked: str, leads: str) -> None:
    answer = proxied.get(asked)
    assert (answer.status_code, answer.headers["location"]) == (307, leads)
    followed = proxied.get(asked, follow_redirects=True)
    assert followed.status_code == 200
    assert followed.url == proxied.base_url.join(leads)


def test_addresses_in_answers_have_the_prefix(proxied: httpx.Client) -> None:
    assert proxied.get("/gan/v1/samples?n=1&seed=7").headers["content-location"].startswith("/gan/v1/samples?")
    assert proxied.get("/gan/openapi.json").json()["servers"] == [{"url": "/gan"}]
    url = proxied.get("/gan/v1/models/conv/timeline").json()["pictures"][0]["url"]
    assert proxied.get(url).status_code == 200


@needs_chromium
def test_the_playground_works(browser: Browser, proxied: httpx.Client) -> None:
    origin = str(proxied.base_url).rstrip("/")
    with Visit(browser, origin) as visit:
        visit.page.goto(f"{origin}/gan/")
        visit.page.locator("#grid [role=option]").first.wait_for()
        assert visit.faults == []


@pytest.mark.parametrize("prefix", ["", "/gan"])
def test_without_a_proxy(prefixed_service: Service, prefix: str) -> None:
    client = prefixed_service.client
    for path in ("/static/icon.svg", "/static/viewer/viewer.css", "/", "/docs", "/v1/models"):
        assert client.get(prefix + path).status_code == 200, path
    assert client.get(f"{prefix}/v1/models/").headers["location"] == "/gan/v1/models"
    assert client.get(f"{prefix}/static/nothing.css").status_code == 404
    assert client.get(f"{prefix}/nothing/").status_code == 404


def test_the_prefix_itself_leads_to_the_page(prefixed_service: Service) -> None:
    answer = prefixed_service.client.get("/gan?seed=7")
    assert (answer.status_code, answer.headers["location"]) == (307, "/gan/?seed=7")


def test_without_a_prefix(client: httpx.Client) -> None:
    answer = client.get("/v1/models/?")
    assert (answer.status_code, answer.headers["location"]) == (307, "/v1/models")
    for path in ("//a.example/v1/models/", "//a.example/", "/v1/models%2F"):
        assert "a.example" not in client.get(path).headers.get("location", "")
