"""ETags, permanent URLs, and how long an answer may be kept."""

import httpx
import pytest

from harness.service import Service

SAME = "seed=7&n=4"
VARIANTS = [
    "seed=8&n=4",
    "seed=7&n=5",
    "seed=7&n=4&first=1",
    "seed=7&n=4&columns=4",
    "seed=7&n=4&padding=3",
    "seed=7&n=4&scale=2",
    "seed=7&n=4&truncation=0.5",
    "seed=7&n=4&format=json",
    "seed=7&n=4&format=npz",
    "seed=7&n=4&model=conv",
]


def permanent(client: httpx.Client, query: str = SAME) -> httpx.Response:
    return client.get(client.get(f"/v1/samples?{query}").headers["content-location"])


def test_etag_stays(client: httpx.Client) -> None:
    first, second = (client.get(f"/v1/samples?{SAME}").headers["etag"] for _ in range(2))
    assert first == second
    assert first.startswith('"')


def test_etag_changes_with_whatever_changes_the_bytes(client: httpx.Client) -> None:
    answers = [client.get(f"/v1/samples?{query}") for query in (SAME, *VARIANTS)]
    assert len({answer.headers["etag"] for answer in answers}) == len(answers)
    assert len({answer.content for answer in answers}) == len(answers)


@pytest.mark.parametrize("query", [SAME, *VARIANTS])
def test_content_location_gives_the_same_bytes(client: httpx.Client, query: str) -> None:
    answer = client.get(f"/v1/samples?{query}")
    again = client.get(answer.headers["content-location"])
    assert again.content == answer.content
    assert again.headers["etag"] == answer.headers["etag"]
    assert again.headers["content-location"] == answer.headers["content-location"]
    assert again.headers["x-model"] in answer.headers["content-location"]


def test_drawn_seed_is_not_stored(client: httpx.Client) -> None:
    answer = client.get("/v1/samples?n=2")
    assert answer.headers["cache-control"] == "no-store"
    assert f"seed={answer.headers['x-seed']}&" in answer.headers["content-location"]


@pytest.mark.parametrize("query", ["n=2", "n=2&format=npz"])  # the fast path, and the ordinary one
def test_a_drawn_seed_is_never_known(client: httpx.Client, query: str) -> None:
    """Nobody can have the images of a seed that is drawn now, whatever `*` says."""
    answer = client.get(f"/v1/samples?{query}", headers={"If-None-Match": "*"})
    assert (answer.status_code, len(answer.content) > 0) == (200, True)


def test_plain_name_is_revalidated(client: httpx.Client) -> None:
    assert client.get(f"/v1/samples?{SAME}&model=mnist-conv").headers["cache-control"] == "no-cache"


def test_permanent_url_is_immutable(client: httpx.Client) -> None:
    assert permanent(client).headers["cache-control"] == "public, max-age=31536000, immutable"


@pytest.mark.parametrize("form", ["{tag}", "W/{tag}", '"other", {tag}', "*", '"a" , W/{tag}'])
def test_known_etag_gives_304_without_running_g(service: Service, form: str) -> None:
    tag = service.client.get(f"/v1/samples?{SAME}").headers["etag"]
    images = service.metric("gan_images_generated_total")
    again = service.client.get(f"/v1/samples?{SAME}", headers={"If-None-Match": form.format(tag=tag)})
    assert again.status_code == 304
    assert again.content == b""
    assert again.headers["etag"] == tag
    assert again.headers["x-seed"] == "7"
    assert {"cache-control", "content-location", "x-model"} <= set(again.headers)
    assert service.metric("gan_images_generated_total") == images


@pytest.mark.parametrize("value", ['"other"', "", "W/", "garbage"])
def test_other_etag_gives_the_picture(client: httpx.Client, value: str) -> None:
    assert client.get(f"/v1/samples?{SAME}", headers={"If-None-Match": value}).status_code == 200


def test_prefix_is_in_the_permanent_url(prefixed_service: Service) -> None:
    client = prefixed_service.client
    stripped = client.get(f"/v1/samples?{SAME}")  # a proxy that takes the prefix off
    kept = client.get(f"/gan/v1/samples?{SAME}")  # one that leaves it on
    assert stripped.content == kept.content
    for answer in (stripped, kept):
        assert answer.headers["content-location"].startswith("/gan/v1/samples?")
    assert client.get(kept.headers["content-location"]).content == kept.content
    assert client.get("/gan/v1/models/mnist-conv/timeline").json()["pictures"][0]["url"].startswith("/gan/")
