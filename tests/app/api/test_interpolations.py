"""`/v1/interpolations`: the path is compared with the formula of the latents; every format, every limit, caching."""

import random
from typing import Any
from urllib.parse import quote

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from harness.service import Service
from models.interpolation import interpolate
from models.latents import draw_latents
from tests.app.checks import animation_frames, assert_problem, json_images, pixels

SAME = "seeds=1,2,3&steps=4"
VARIANTS = [
    "seeds=1,3,2&steps=4",
    "seeds=1,2,3&steps=5",
    "seeds=1,2,3&steps=4&mode=linear",
    "seeds=1,2,3&steps=4&loop=true",
    "seeds=1,2,3&steps=4&columns=4",
    "seeds=1,2,3&steps=4&padding=3",
    "seeds=1,2,3&steps=4&scale=2",
    "seeds=1,2,3&steps=4&format=json",
    "seeds=1,2,3&steps=4&format=gif",
    "seeds=1,2,3&steps=4&format=gif&duration_ms=100",
    "seeds=1,2,3&steps=4&format=gif&scale=2",
    "seeds=1,2,3&steps=4&format=webp",
    "seeds=1,2,3&steps=4&model=digits",
    "seeds=1,2,3&steps=4&model=digits&digit=5",
    "seeds=1,2,3&steps=4&model=rgb&format=webp",
]
LAST = 2**53 - 1


def get(client: httpx.Client, query: str, **headers: str) -> httpx.Response:
    response = client.get(f"/v1/interpolations?{query}", headers=headers)
    assert response.status_code == 200, response.text
    return response


def latents(answer: dict[str, Any]) -> NDArray[np.float32]:
    return np.array([sample["latent"] for sample in answer["samples"]], dtype=np.float32)


@pytest.fixture(scope="module")
def images(client: httpx.Client) -> NDArray[np.uint8]:
    """The nine images of SAME."""
    return json_images(get(client, f"{SAME}&format=json").json())


# --- The path ---------------------------------------------------------------------------------------


def test_json_holds_what_the_contract_says(client: httpx.Client) -> None:
    response = get(client, f"{SAME}&format=json")
    answer = response.json()
    assert list(answer) == [
        *["model", "model_sha256", "seeds", "steps", "mode", "prior", "z_dim"],
        *["width", "height", "channels", "samples"],
    ]
    assert (answer["seeds"], answer["steps"], answer["mode"]) == ([1, 2, 3], 4, "slerp")
    assert (answer["prior"], answer["z_dim"]) == ("normal", 16)
    assert (answer["width"], answer["height"], answer["channels"]) == (28, 28, 1)
    assert answer["model"] == f"mnist-conv@{answer['model_sha256'][:12]}" == response.headers["x-model"]
    assert [sample["index"] for sample in answer["samples"]] == list(range(9))
    assert set(answer["samples"][0]) == {"index", "latent", "png"}
    assert json_images(answer).shape == (9, 28, 28)


@pytest.mark.parametrize(
    "query", ["", "&mode=slerp", "&mode=linear", "&loop=true", "&model=rgb", "&model=rgb&mode=slerp"]
)
def test_latents_are_those_of_the_path(client: httpx.Client, query: str) -> None:
    answer = get(client, f"{SAME}&format=json{query}").json()
    prior, z_dim = answer["prior"], answer["z_dim"]
    ends = np.concatenate([draw_latents(seed, 0, 1, z_dim=z_dim, prior=prior) for seed in (1, 2, 3)])
    wanted = interpolate(ends, steps=4, mode=answer["mode"], prior=prior, loop="loop" in query)
    assert latents(answer).tobytes() == wanted.tobytes()


def test_default_mode_is_the_priors(client: httpx.Client) -> None:
    assert get(client, f"{SAME}&format=json&model=rgb").json()["mode"] == "linear"
    assert get(client, f"{SAME}&format=json&model=conv").json()["mode"] == "slerp"


@pytest.mark.parametrize("model", ["mnist-conv", "conv", "rgb", "digits&digit=3", "three&digit=0"])
@pytest.mark.parametrize("mode", ["slerp", "linear"])
def test_corners_are_the_very_images_of_the_seeds(client: httpx.Client, model: str, mode: str) -> None:
    answer = get(client, f"seeds=1,22,0,{LAST}&steps=5&mode={mode}&format=json&model={model}").json()
    assert len(answer["samples"]) == 16
    for corner, seed in enumerate((1, 22, 0, LAST)):
        alone = client.get(f"/v1/samples?seed={seed}&n=1&format=json&model={model}").json()["samples"][0]
        on_path = answer["samples"][5 * corner]
        assert on_path["latent"] == alone["latent"]
        assert on_path["png"] == alone["png"]


def test_images_are_those_of_the_latents_posted(client: httpx.Client, images: NDArray[np.uint8]) -> None:
    answer = get(client, f"{SAME}&format=json").json()
    posted = client.post("/v1/samples", json={"latents": latents(answer).tolist(), "format": "json"}).json()
    assert (json_images(posted) == images).all()
    assert len(np.unique(images, axis=0)) == 9


def test_a_digit_is_kept_all_the_way(client: httpx.Client) -> None:
    answer = get(client, "seeds=1,2,3,4,5&steps=9&model=digits&digit=3&format=json&loop=1").json()
    assert (latents(answer)[:, -10:].argmax(axis=1) == 3).all()
    free = get(client, "seeds=1,2,3,4,5&steps=9&model=digits&format=json&loop=1").json()
    assert len(set(latents(free)[:, -10:].argmax(axis=1).tolist())) > 1


def test_a_seed_may_come_more_than_once(client: httpx.Client) -> None:
    still = get(client, "seeds=4,4&steps=3&format=json").json()
    assert (json_images(still) == json_images(still)[0]).all()


# --- Formats ----------------------------------------------------------------------------------------


def test_strip_is_one_row(client: httpx.Client, images: NDArray[np.uint8]) -> None:
    strip = pixels(get(client, SAME).content)
    assert strip.shape == (32, 9 * 30 + 2)
    bare = pixels(get(client, f"{SAME}&padding=0").content)
    assert (np.stack(np.split(bare, 9, axis=1)) == images).all()


def test_columns_padding_and_scale_of_the_strip(client: httpx.Client, images: NDArray[np.uint8]) -> None:
    picture = pixels(get(client, f"{SAME}&columns=4&padding=4&scale=2").content)
    assert picture.shape == ((3 * 32 + 4) * 2, (4 * 32 + 4) * 2)
    for k, image in enumerate(images):
        top, left = (k // 4 * 32 + 4) * 2, (k % 4 * 32 + 4) * 2
        assert (picture[top : top + 56, left : left + 56] == image.repeat(2, axis=0).repeat(2, axis=1)).all()


@pytest.mark.parametrize("form", ["gif", "webp"])
@pytest.mark.parametrize("scale", [1, 2])
def test_animation_shows_every_image(client: httpx.Client, images: NDArray[np.uint8], form: str, scale: int) -> None:
    response = get(client, f"{SAME}&format={form}&scale={scale}")
    assert response.headers["content-type"] == f"image/{form}"
    frames = animation_frames(response.content, form)
    assert frames.shape == (9, 28 * scale, 28 * scale, 3)
    assert (frames[..., 0] == images.repeat(scale, axis=1).repeat(scale, axis=2)).all()


def test_animation_of_colours(client: httpx.Client) -> None:
    images = json_images(get(client, f"{SAME}&model=rgb&format=json").json())
    assert (animation_frames(get(client, f"{SAME}&model=rgb&format=webp").content, "webp") == images).all()
    assert animation_frames(get(client, f"{SAME}&model=rgb&format=gif").content, "gif").shape == images.shape


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("*/*", "image/png"),
        ("image/*", "image/png"),
        ("image/gif", "image/gif"),
        ("image/webp, image/png;q=0.5", "image/webp"),
        ("application/json", "application/json"),
        ("application/json, */*", "application/json"),
        ("image/png;q=0, */*", "image/gif"),
    ],
)
def test_accept_decides_without_format(client: httpx.Client, accept: str, media_type: str) -> None:
    response = get(client, SAME, Accept=accept)
    assert response.headers["content-type"] == media_type
    assert response.headers["vary"] == "Accept"


def test_format_beats_accept(client: httpx.Client) -> None:
    response = get(client, f"{SAME}&format=gif", Accept="application/json")
    assert response.headers["content-type"] == "image/gif"
    assert "vary" not in response.headers


@pytest.mark.parametrize("accept", ["text/html", "application/zip", "application/octet-stream", "image/png;q=0"])
def test_nothing_acceptable(client: httpx.Client, accept: str) -> None:
    response = client.get(f"/v1/interpolations?{SAME}", headers={"Accept": accept})
    assert_problem(response, 406, text="image/gif, image/webp")


# --- Limits -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "n"),
    [
        ("seeds=1,2&steps=1", 2),
        ("seeds=1,2&steps=1&loop=1", 2),
        ("seeds=1,2&steps=256", 257),
        (f"seeds=0,{LAST}", 17),
        ("seeds=1,2,3", 33),
        ("seeds=1,2,3&loop=true", 48),
        ("seeds=1,2,007", 33),
        (f"seeds={','.join(map(str, range(16)))}&steps=1", 16),
        (f"seeds={','.join(map(str, range(16)))}&steps=256&loop=1", 4096),
        ("seeds=1,2&duration_ms=20", 17),
        ("seeds=1,2&duration_ms=10000", 17),
        ("seeds=1,2&scale=16&padding=64&columns=4096", 17),
    ],
)
def test_inside_the_limits(client: httpx.Client, query: str, n: int) -> None:
    assert len(get(client, f"{query}&format=json").json()["samples"]) == n


@pytest.mark.parametrize("form", ["png", "gif", "webp"])
@pytest.mark.parametrize(
    "query",
    [
        f"seeds={','.join(map(str, range(16)))}&steps=256&loop=1&padding=0",
        "seeds=5,5&steps=59&duration_ms=10000",  # 600 s, all of it one frame
        "seeds=1,2&scale=16",
    ],
)
def test_pictures_at_the_limits(client: httpx.Client, form: str, query: str) -> None:
    assert get(client, f"{query}&format={form}").headers["content-type"] == f"image/{form}"


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("", "seeds"),
        ("seeds=", "seeds"),
        ("seeds=1", "seeds"),
        ("seeds=1,", "seeds"),
        ("seeds=,1", "seeds"),
        ("seeds=1,,2", "seeds"),
        ("seeds=1;2", "seeds"),
        ("seeds=1 2", "seeds"),
        ("seeds=1,x", "seeds"),
        ("seeds=1,-1", "seeds"),
        ("seeds=1,%2B1", "seeds"),
        ("seeds=1,1.5", "seeds"),
        ("seeds=1,1_0", "seeds"),
        ("seeds=1,²", "seeds"),
        ("seeds=1,٣", "seeds"),
        (f"seeds=1,{LAST + 1}", "seeds"),
        (f"seeds=1,{'9' * 5000}", "seeds"),
        (f"seeds={','.join(map(str, range(17)))}", "seeds"),
        ("seeds=1,2&steps=0", "steps"),
        ("seeds=1,2&steps=257", "steps"),
        ("seeds=1,2&steps=x", "steps"),
        ("seeds=1,2&mode=cubic", "mode"),
        ("seeds=1,2&mode=", "mode"),
        ("seeds=1,2&loop=maybe", "loop"),
        ("seeds=1,2&loop=yes", "loop"),
        ("seeds=1,2&digit=3", "digit"),
        ("seeds=1,2&columns=0", "columns"),
        ("seeds=1,2&columns=4097", "columns"),
        ("seeds=1,2&padding=-1", "padding"),
        ("seeds=1,2&padding=65", "padding"),
        ("seeds=1,2&scale=0", "scale"),
        ("seeds=1,2&scale=17", "scale"),
        ("seeds=1,2&duration_ms=19", "duration_ms"),
        ("seeds=1,2&duration_ms=10001", "duration_ms"),
        ("seeds=1,2&steps=60&duration_ms=10000&format=gif", "duration_ms"),
        ("seeds=1,2&steps=60&duration_ms=10000&format=webp", "duration_ms"),
        ("seeds=1,2,3&steps=256&scale=13&format=gif", "scale"),
        ("seeds=1,2,3&steps=256&scale=13&format=webp", "scale"),
        ("seeds=1,2,3&steps=256&scale=12", "scale"),
        ("seeds=1,2&format=npz", "format"),
        ("seeds=1,2&format=apng", "format"),
        ("seeds=1,2&seed=7", "seed"),
        ("seeds=1,2&n=7", "n"),
    ],
)
def test_outside_the_limits(client: httpx.Client, query: str, parameter: str) -> None:
    assert_problem(client.get(f"/v1/interpolations?{query}"), 422, parameter=parameter)


def test_what_a_problem_says(client: httpx.Client) -> None:
    for query, text in (
        ("seeds=1", "a path needs 2 to 16 seeds, separated by commas, not 1"),
        ("seeds=1,x", "each seed must be an integer with 0 ≤ seed < 2**53, not 'x'"),
        ("seeds=1,2&steps=60&duration_ms=10000&format=gif", "would last 610,000 ms, and at most 600,000 ms"),
        ("seeds=1,2,3&steps=256&scale=13&format=gif", "67,970,448 pixels, and at most 64,000,000 are allowed"),
    ):
        assert_problem(client.get(f"/v1/interpolations?{query}"), 422, text=text)


@pytest.mark.parametrize("model", ["nope", "mnist-conv@000000000000", "truncated"])
def test_unknown_model(client: httpx.Client, model: str) -> None:
    assert_problem(client.get(f"/v1/interpolations?{SAME}&model={model}"), 404, parameter="model")


def test_a_post_is_not_taken(client: httpx.Client) -> None:
    assert_problem(client.post("/v1/interpolations", json={"seeds": "1,2"}), 405)


def test_seeded_nonsense_is_never_a_server_error(service: Service) -> None:
    rng = random.Random(1985)
    values = ["", "0", "1", "9", "16", "257", "-1", "nan", "x", "true", "slerp", "gif", "webp", "json", "ü", "1,2", "%"]
    names = ["steps", "mode", "loop", "model", "digit", "columns", "padding", "scale", "duration_ms", "format", "seeds"]
    models = ["mnist-conv", "rgb", "digits", "three", "conv"]
    answered = 0
    for _ in range(300):
        query = [
            f"seeds={rng.choice(['1,2', '3,3', '0,9007199254740991', '1', '1,2,3'])}",
            f"model={rng.choice(models)}",
        ]
        query += [f"{rng.choice(names)}={rng.choice(values)}" for _ in range(rng.randrange(3))]
        response = service.client.get(f"/v1/interpolations?{quote('&'.join(query), safe='&=%,')}")
        assert response.status_code < 500, (query, response.text[:300])
        answered += response.status_code == 200
    assert answered > 50
    assert "Traceback" not in service.log.read_text()


# --- Keeping ----------------------------------------------------------------------------------------


def test_etag_changes_with_whatever_changes_the_bytes(client: httpx.Client) -> None:
    answers = [get(client, query) for query in (SAME, *VARIANTS)]
    assert len({answer.headers["etag"] for answer in answers}) == len(answers)
    assert len({answer.content for answer in answers}) == len(answers)


@pytest.mark.parametrize("query", [SAME, *VARIANTS])
def test_content_location_gives_the_same_bytes_for_ever(client: httpx.Client, query: str) -> None:
    answer = get(client, query)
    assert answer.headers["cache-control"] == "no-cache"
    again = client.get(answer.headers["content-location"])
    assert again.content == answer.content
    assert again.headers["content-type"] == answer.headers["content-type"]
    for name in ("etag", "content-location", "x-model"):
        assert again.headers[name] == answer.headers[name]
    assert again.headers["cache-control"] == "public, max-age=31536000, immutable"


def test_content_location_leaves_nothing_open(client: httpx.Client) -> None:
    answer = get(client, "seeds=1,02")
    model = answer.headers["x-model"]
    assert answer.headers["content-location"] == (
        f"/v1/interpolations?model={model}&seeds=1,2&steps=16&mode=slerp&columns=17&padding=2&scale=1&format=png"
    )


@pytest.mark.parametrize("form", ["png", "gif", "webp", "json"])
def test_known_etag_gives_304_without_running_g(service: Service, form: str) -> None:
    known = get(service.client, f"{SAME}&format={form}")
    images = service.metric("gan_images_generated_total")
    again = service.client.get(
        f"/v1/interpolations?{SAME}&format={form}", headers={"If-None-Match": known.headers["etag"]}
    )
    assert (again.status_code, again.content) == (304, b"")
    for name in ("etag", "content-location", "x-model", "cache-control"):
        assert again.headers[name] == known.headers[name]
    assert service.metric("gan_images_generated_total") == images


def test_head_is_get_without_the_body(client: httpx.Client) -> None:
    got, head = get(client, SAME), client.head(f"/v1/interpolations?{SAME}")
    assert head.content == b""
    for name in ("etag", "content-type", "content-location", "x-model"):
        assert head.headers[name] == got.headers[name]


def test_prefix_is_in_the_permanent_url(prefixed_service: Service) -> None:
    answer = get(prefixed_service.client, SAME)
    assert answer.headers["content-location"].startswith("/gan/v1/interpolations?")
    assert prefixed_service.client.get(answer.headers["content-location"]).content == answer.content
