"""JSON that would take memory or time out of all proportion is refused before it is parsed."""

import httpx
import pytest

from app.api.json_bodies import MAX_JSON_BYTES, MAX_LISTS, MAX_TEXTS, MAX_VALUES
from app.api.schemas.samples import MAX_POSTED_LATENTS
from harness.process_tree import peak_mb
from harness.service import Service
from reliability.hostile.json_bodies import BODIES, latents
from reliability.hostile_json import MAX_RISE_MB
from tests.app.checks import assert_problem


def post(client: httpx.Client, body: bytes) -> httpx.Response:
    return client.post("/v1/samples", content=body, headers={"Content-Type": "application/json"}, timeout=60)


@pytest.mark.parametrize("kind", BODIES)
def test_a_heavy_body(service: Service, kind: str) -> None:
    before = peak_mb(service.process.pid)
    answer = post(service.client, BODIES[kind]())
    assert answer.status_code in (413, 422)
    assert_problem(answer, answer.status_code)
    assert len(answer.content) < 10_000
    assert peak_mb(service.process.pid) - before < MAX_RISE_MB
    assert service.client.get("/healthz").status_code == 200


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b" " * (MAX_JSON_BYTES + 1), "16,777,217 bytes"),
        (b"[" * (MAX_LISTS + 1), "8,193 lists and objects"),
        (b'"' * (2 * MAX_TEXTS + 2), "513 names and texts"),
        (b"," * (MAX_VALUES + 1), "1,000,001 values"),
    ],
)
def test_what_there_is_too_much_of_is_said(client: httpx.Client, body: bytes, text: str) -> None:
    assert_problem(post(client, body), 413, text=text)


@pytest.mark.parametrize("more", [b" " * MAX_JSON_BYTES, b"[" * MAX_LISTS, b'"' * (2 * MAX_TEXTS), b"," * MAX_VALUES])
def test_at_the_limit_it_is_parsed(client: httpx.Client, more: bytes) -> None:
    assert_problem(post(client, more), 422, text="not JSON")


def test_as_many_latents_as_may_be(client: httpx.Client) -> None:
    """Each number has as many digits as the service itself sends for a float32."""
    body = latents("-0.12345678901234567", rows=MAX_POSTED_LATENTS, columns=16)
    assert post(client, body).status_code == 200
    one_more = latents("0.5", rows=MAX_POSTED_LATENTS + 1, columns=16)
    assert_problem(post(client, one_more), 422, parameter="latents")


def test_numbers_are_read_to_the_last_bit(client: httpx.Client) -> None:
    drawn = client.get("/v1/samples?n=3&seed=7&format=json").json()
    answer = client.post("/v1/samples", json={"latents": [s["latent"] for s in drawn["samples"]], "format": "json"})
    assert [s["latent"] for s in answer.json()["samples"]] == [s["latent"] for s in drawn["samples"]]
    assert [s["png"] for s in answer.json()["samples"]] == [s["png"] for s in drawn["samples"]]


def test_another_type_of_json(client: httpx.Client) -> None:
    headers = {"Content-Type": "application/merge-patch+json"}
    assert client.post("/v1/samples", content=b'{"n":1}', headers=headers).status_code == 200
    heavy = BODIES["5 million lists"]()
    assert_problem(client.post("/v1/samples", content=heavy, headers=headers), 413)
