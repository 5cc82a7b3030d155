"""Keys and origins: which requests may come in."""

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.middleware.auth import hash_key, is_known
from gan_client import Client, ProblemError
from harness.service import Service, environment, running
from tests.app.checks import assert_problem
from tests.app.server.test_nginx import cached, needs_nginx
from tests.app.test_settings import start_and_fail

HASHED = "sha256:" + hashlib.sha256(b"a-hashed-key").hexdigest()


@pytest.fixture(scope="module")
def guarded(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    keys = f"first-key, third,schlüssel-ä,{HASHED}"
    with running(
        tmp_path_factory.mktemp("guarded"),
        models_dir=models_dir,
        api_keys=keys,
        admin_key="the-ädmin",
        root_path="/gan",
        cors_origins="https://a.example",
    ) as started:
        yield started


def basic(key: str) -> str:
    return "Basic " + base64.b64encode(f"anyone:{key}".encode()).decode()


@pytest.mark.parametrize("key", ["first-key", "third", "a-hashed-key"])
@pytest.mark.parametrize("path", ["/v1/samples?n=1", "/gan/v1/samples?n=1", "/v1/models", "/", "/docs", "/metrics"])
def test_a_key_opens(guarded: Service, key: str, path: str) -> None:
    for authorization in (f"Bearer {key}", f"bearer  {key}", basic(key)):
        assert guarded.client.get(path, headers={"Authorization": authorization}).status_code == 200


@pytest.mark.parametrize(
    "query",
    ["/v1/samples?n=1&seed=7", "/v1/samples?n=1&seed=7&truncation=0.5", "/v1/interpolations?seeds=1,2"],
)
def test_no_shared_cache_may_keep_what_needs_a_key(guarded: Service, query: str) -> None:
    headers = {"Authorization": "Bearer third"}
    location = guarded.client.get(query, headers=headers).headers["content-location"]
    answer = guarded.client.get(location, headers=headers)
    assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"
    again = guarded.client.get(location, headers=headers | {"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.headers["cache-control"]) == (304, "private, max-age=31536000, immutable")
    assert guarded.client.get("/v1/samples?n=1", headers=headers).headers["cache-control"] == "no-store"


@needs_nginx
def test_a_cache_in_front_gives_no_one_what_a_key_has_opened(guarded: Service, tmp_path: Path) -> None:
    """With deploy/nginx/gan-cache.conf the service still checks every key itself."""
    key = {"Authorization": "Bearer third"}
    location = guarded.client.get("/gan/v1/samples?n=2&seed=1", headers=key).headers["content-location"]
    assert location.startswith("/gan/v1/samples?")
    with cached(guarded, tmp_path) as cache:
        for _ in range(2):
            answer = cache.client.get(location, headers=key)
            assert (answer.status_code, answer.headers.get("x-cache")) == (200, None)
            assert answer.headers["cache-control"].startswith("private")
        for headers in ({}, {"Authorization": "Bearer wrong"}):
            assert_problem(cache.client.get(location, headers=headers), 401)
        etag = {"If-None-Match": answer.headers["etag"]}
        assert cache.client.get(location, headers=key | etag).status_code == 304
        assert_problem(cache.client.get(location, headers=etag), 401)


@pytest.mark.parametrize("end", ["", "/"])
def test_the_python_client_has_a_key_and_a_prefix(guarded: Service, end: str) -> None:
    with Client(f"{guarded.url}/gan{end}", "third") as gan:
        samples = gan.samples(2, seed=7)
        assert samples.url is not None
        assert samples.url.startswith(f"{guarded.url}/gan/v1/samples?")
        headers = {"Authorization": "Bearer third"}
        assert httpx.get(samples.url, headers=headers).headers["x-model"] == samples.model
    with Client(f"{guarded.url}/gan{end}") as gan, pytest.raises(ProblemError) as caught:
        gan.samples(2)
    assert (caught.value.status, caught.value.type) == (401, "urn:gan:problem:key-needed")


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer first-ke",
        "Bearer first-key2",
        "Bearer FIRST-KEY",
        f"Bearer {HASHED}",
        "Basic first-key",
        "Basic !!!",
        "Basic /////w==",
        "Digest first-key",
        "first-key",
    ],
)
@pytest.mark.parametrize("path", ["/v1/samples?n=1", "/v1/models", "/", "/docs", "/static/icon.svg", "/nothing"])
def test_nothing_else_opens(guarded: Service, authorization: str | None, path: str) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    refused = guarded.client.get(path, headers=headers)
    assert_problem(refused, 401, text="a key is needed")
    challenges = refused.headers.get_list("www-authenticate")
    assert challenges == ['Bearer realm="gan"', 'Basic realm="gan", charset="UTF-8"']
    assert guarded.client.head(path, headers=headers).headers.get_list("www-authenticate") == challenges


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
@pytest.mark.parametrize("path", ["/v1/samples?n=1&seed=1", "/v1/models", "/"])
def test_a_key_that_is_not_ascii_opens_in_both_encodings(guarded: Service, encoding: str, path: str) -> None:
    key = "schlüssel-ä".encode(encoding)
    for authorization in (b"Bearer " + key, b"Basic " + base64.b64encode(b"anyone:" + key)):
        assert guarded.client.get(path, headers={b"Authorization": authorization}).status_code == 200


def test_the_python_client_has_a_key_that_is_not_ascii(guarded: Service) -> None:
    with Client(guarded.url, "schlüssel-ä") as gan:
        assert len(gan.samples(2, seed=7).images) == 2


@pytest.mark.parametrize("prefix", ["", "/gan"])
def test_the_admin_key_alone_opens_the_reload(guarded: Service, prefix: str) -> None:
    """The two settings together, as the production overlay sets them."""
    url = f"{prefix}/admin/reload"
    for encoding in ("utf-8", "latin-1"):
        headers = {b"Authorization": b"Bearer " + "the-ädmin".encode(encoding)}
        assert guarded.client.post(url, headers=headers).status_code == 200
        assert_problem(guarded.client.get("/v1/models", headers=headers), 401)
    for authorization in (None, "Bearer first-key", basic("first-key"), "Bearer wrong"):
        refused = guarded.client.post(url, headers={} if authorization is None else {"Authorization": authorization})
        assert_problem(refused, 401, text="a key is needed")
        assert refused.headers.get_list("www-authenticate") == ['Bearer realm="gan"']


def test_the_document_says_that_a_key_is_needed(guarded: Service, client: httpx.Client) -> None:
    document = guarded.client.get("/openapi.json", headers={"Authorization": "Bearer third"}).json()
    assert {scheme["scheme"] for scheme in document["components"]["securitySchemes"].values()} == {"bearer", "basic"}
    assert document["security"] == [{"key": []}, {"password": []}]
    assert client.get("/openapi.json").json()["security"] == [{"key": []}, {"password": []}, {}]
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert ("401" in operation["responses"]) == (path not in {"/healthz", "/readyz"})
            assert operation.get("security") == ([] if path in {"/healthz", "/readyz"} else None)
    refused = guarded.client.get("/v1/models")
    example = document["paths"]["/v1/models"]["get"]["responses"]["401"]["content"]["application/problem+json"]
    assert refused.json() == {name: value for name, value in example["example"].items() if value is not None}


def test_the_page_is_another_with_keys(guarded: Service, client: httpx.Client) -> None:
    """Its curl commands have a key. A browser that kept the page without them must not be told that it is unchanged."""
    headers = {"Authorization": "Bearer third"}
    page = guarded.client.get("/", headers=headers)
    assert "<html data-needs-key lang" in page.text
    assert page.headers["etag"] != client.get("/").headers["etag"]
    assert "data-needs-key" not in client.get("/").text
    again = guarded.client.get("/", headers=headers | {"If-None-Match": page.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    old = guarded.client.get("/", headers=headers | {"If-None-Match": client.get("/").headers["etag"]})
    assert old.status_code == 200
    head = guarded.client.head("/", headers=headers)
    assert (head.content, head.headers["content-length"]) == (b"", str(len(page.content)))


def test_two_authorizations_are_none(guarded: Service) -> None:
    headers = [("Authorization", "Bearer first-key"), ("Authorization", "Bearer first-key")]
    assert_problem(guarded.client.get("/v1/models", headers=headers), 401)


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/gan/healthz", "/gan/readyz"])
def test_health_is_open(guarded: Service, path: str) -> None:
    assert guarded.client.get(path).status_code == 200


def test_paths_that_look_like_health_are_not_open(guarded: Service) -> None:
    for path in ("/healthz/", "/v1/samples?n=1&/healthz", "/healthz/../v1/models", "//healthz"):
        assert guarded.client.get(path).status_code == 401, path


def test_an_origin_that_may(guarded: Service) -> None:
    headers = {"Origin": "https://a.example", "Authorization": "Bearer first-key"}
    answer = guarded.client.get("/v1/samples?n=1&seed=1", headers=headers)
    assert answer.headers["access-control-allow-origin"] == "https://a.example"
    exposed = answer.headers["access-control-expose-headers"].split(", ")
    assert {"Allow", "Content-Disposition", "ETag", "Retry-After", "WWW-Authenticate", "X-Seed"} <= set(exposed)
    asks = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}
    assert guarded.client.options("/v1/score", headers=asks).status_code == 200


def test_an_origin_that_may_not(guarded: Service) -> None:
    headers = {"Origin": "https://b.example", "Authorization": "Bearer first-key"}
    assert "access-control-allow-origin" not in guarded.client.get("/v1/samples?n=1", headers=headers).headers


def test_by_default_no_origin_may(client: httpx.Client) -> None:
    answer = client.get("/v1/samples?n=1", headers={"Origin": "https://a.example"})
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.slow
def test_every_worker_has_the_keys(tmp_path: Path, models_dir: Path) -> None:
    with running(tmp_path, models_dir=models_dir, workers=2, api_keys="a,b") as service:
        for _ in range(10):
            assert httpx.get(f"{service.url}/v1/models", headers={"Authorization": "Bearer b"}).status_code == 200
            assert httpx.get(f"{service.url}/v1/models").status_code == 401


@pytest.mark.slow
def test_a_bad_key_is_not_shown(tmp_path: Path) -> None:
    ended = start_and_fail(tmp_path, api_keys="good,sha256:secret")
    assert ended.returncode == 2
    assert "GAN_API_KEYS: " in ended.stderr
    assert "secret" not in ended.stderr


def test_hashes() -> None:
    assert hash_key("abc") == "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2
    assert hash_key(hash_key("abc")) == hash_key("abc")
    assert hash_key(hash_key("abc").upper()) == hash_key("abc")  # not a key itself: hashes are no secrets
    with pytest.raises(ValueError, match="empty"):
        hash_key("")
    assert is_known(b"abc", [hash_key("x"), hash_key("abc")])
    assert not is_known(b"abd", [hash_key("x"), hash_key("abc")])
    assert not is_known(None, [hash_key("None")])


def test_environment_of_tests_has_no_keys() -> None:
    assert not [name for name in environment() if name.startswith("GAN_")]
