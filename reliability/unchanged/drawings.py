"""Requests that draw: `/v1/samples` and `/v1/interpolations`, valid and invalid."""

import json
from collections.abc import Mapping
from itertools import product

import numpy as np

from reliability.unchanged.http_cases import Case, Headers

SAMPLES, PATHS = "/v1/samples", "/v1/interpolations"
LARGEST_SEED = 2**53 - 1


def drawings(models: Mapping[str, int]) -> list[Case]:
    """Return the requests that take little time each.

    Args:
        models: the size of a latent, by the `name@hash` of each model.
    """
    names = [reference.partition("@")[0] for reference in models]
    return [
        *_pictures(),
        *_formats([*names, *models]),
        *_negotiation(SAMPLES + "?n=2&seed=7"),
        *_negotiation(PATHS + "?seeds=7,8&steps=2"),
        *_spellings(),
        *_bad_samples(),
        *_drawn(),
        *_posted(models),
        *_interpolations(list(models)),
    ]


def slow_drawings() -> list[Case]:
    """Return requests for large answers, which take about a second each."""
    grids = ["n=4096&seed=7", "n=1000&seed=8", "n=1024&seed=3&first=5&format=json"]
    return _gets(SAMPLES, *grids, "n=5000&seed=3&format=npz", "n=1500&seed=3&format=zip")


def _gets(path: str, *queries: str) -> list[Case]:
    return [Case(f"{path}?{query}") for query in queries]


def _pictures() -> list[Case]:
    """Return requests for PNG grids: each parameter at its limits and between them."""
    counts = [f"n={n}&seed={n + 1}" for n in (1, 2, 3, 5, 8, 13, 16, 33, 63, 64, 65, 100, 256)]
    columns = [f"n={n}&seed=7&columns={c}" for n in (1, 16) for c in (1, 2, 5, 16, 17, 64, 4096)]
    paddings = [f"n={n}&seed=7&padding={p}" for n in (1, 4) for p in (0, 1, 2, 7, 64)]
    scales = [f"n={n}&seed=7&scale={s}" for n in (1, 4) for s in (1, 2, 3, 16)]
    truncations = [f"n=4&seed=7&truncation={t}" for t in ("0.001", "0.1", "0.5", "0.8", "0.999", "1", "1.0", "1e-1")]
    digits = [f"n=4&seed=7&digit={digit}" for digit in range(10)]
    firsts = [f"n=4&seed=7&first={first}" for first in (0, 1, 3, 63, 64, 1000, 2**32, 2**53 - 4)]
    seeds = [f"n=4&seed={seed}" for seed in (0, 1, 2**31, 2**32, 999_999_999_999_999, 10**15, LARGEST_SEED)]
    all_at_once = ["n=6&seed=5&first=2&columns=3&padding=1&scale=2&truncation=0.7&digit=4&format=png&model=mnist-mlp"]
    queries = [*counts, *columns, *paddings, *scales, *truncations, *digits, *firsts, *seeds, *all_at_once]
    return [*_gets(SAMPLES, *queries), *(Case(f"{SAMPLES}?{query}", "HEAD") for query in queries[::7])]


def _formats(models: list[str]) -> list[Case]:
    each = [f"n=3&seed=7&format={f}&model={m}" for f, m in product(("png", "json", "npz", "zip"), models)]
    digits = [f"n=3&seed=9&digit=3&truncation=0.9&format={f}" for f in ("json", "npz", "zip")]
    heads = [Case(f"{SAMPLES}?n=3&seed=7&format={form}", "HEAD") for form in ("png", "json")]
    return [*_gets(SAMPLES, *each, *digits), *heads]


def _negotiation(target: str) -> list[Case]:
    accepts = (
        "*/*",
        "image/*",
        "application/json",
        "application/x-npz",
        "application/octet-stream",
        "application/zip",
        "image/gif",
        "image/webp",
        "text/html, image/png;q=0.5",
        "application/json, */*",
        "image/png;q=0, */*;q=0.1",
        "application/json;q=0.3, application/zip;q=0.9",
        "APPLICATION/JSON",
        "application/json;q=x, image/png;q=0.1",
        "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8",
        "text/html",
        "image/png;q=0",
        ", ,",
        "a" * 5000,
    )
    tags = ('"no-tag"', "*", 'W/"x", "y"', "", "garbage", '"' + "x" * 5000 + '"')
    twice = (("Accept", "text/html"), ("Accept", "application/json"))
    cases = [Case(target, headers=(("Accept", accept),)) for accept in accepts]
    cases += [Case(target, headers=(("If-None-Match", tag),)) for tag in tags]
    cases += [Case(f"{target}&format=json", headers=(("Accept", accept),)) for accept in ("text/html", "image/png")]
    return [*cases, Case(target, headers=twice), Case(target, headers=(("Accept-Encoding", "gzip"),))]


def _spellings() -> list[Case]:
    """Return queries that are valid but unusual, and some that only look valid."""
    return _gets(
        SAMPLES,
        *("n=%34&seed=7", "n=4&se%65d=7", "seed=7&n=4", "&n=4&seed=7&", "n=04&seed=007", "n=4.0&seed=7", "n=+4&seed=7"),
        *("n=%2B4&seed=7", "n=%204&seed=7", "n=1e1&seed=7", "n=4_0&seed=7", "seed=7&n=4&format=PNG", "N=4&seed=7"),
        *("n=4&seed=7&model=mnist%2Dconv", "n=4&seed=7&model=mnist-conv%40", "n=4&seed=%D9%A7"),
        *("n=4&seed=7&x", "n=4&seed=7#part", "n=4&seed=7&&", "n=4&seed=7&seed=8", "n=4&seed=7&seed=7"),
    )


def _bad_samples() -> list[Case]:
    numbers = ("0", "-1", "", "x", "1.5", "nan", "inf", "1e400", "true", "null", "9" * 40, str(2**53), "None")
    each = [f"{name}={value}" for name in ("n", "seed", "first", "columns", "digit") for value in numbers]
    sizes = [
        f"{name}={v}" for name, v in product(("padding", "scale", "truncation"), ("-1", "65", "17", "x", "", "nan"))
    ]
    texts = ["format=gif", "format=", "model=", "model=nobody", "model=mnist-conv@", "model=mnist-conv@0123456789ab"]
    texts += ["model=../x", "model=" + "x" * 101, "model=%00", "model=%F0%9F%98%80", "unknown=1", "latents=1", "=1"]
    together = [f"n=2&seed=7&first={2**53 - 1}", "n=4097&seed=7", "n=4097&seed=7&format=json", "n=100001&format=npz"]
    together += ["n=4096&seed=7&scale=16", "n=4096&seed=7&padding=64&scale=16&columns=1", "n=0&seed=-1&digit=10"]
    queries = [*each, *sizes, *texts, *together]
    return _gets(SAMPLES, *(query if "seed=" in query else f"seed=7&{query}" for query in queries))


def _drawn() -> list[Case]:
    """Return requests without a seed."""
    queries = ("", "?n=1", "?n=4&format=json", "?n=4&format=npz", "?n=4&format=zip", "?n=4&model=mnist-mlp&digit=3")
    gets = [Case(SAMPLES + query, is_drawn=True) for query in queries]
    posts = [posted({"n": 2}), posted({"n": 2, "format": "json", "seed": None})]
    drawn_posts = [Case(one.target, one.method, one.headers, one.body, one.note, is_drawn=True) for one in posts]
    return [*gets, Case(SAMPLES, "HEAD", is_drawn=True), *drawn_posts]


def posted(body: object, headers: Headers = (("Content-Type", "application/json"),)) -> Case:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Case(SAMPLES, "POST", headers, data, note=data.decode(errors="replace")[:80])


def _posted(models: Mapping[str, int]) -> list[Case]:
    rng = np.random.default_rng(7)
    cases = []
    for (reference, z_dim), form in product(models.items(), ("png", "json", "npz", "zip")):
        name = reference.partition("@")[0]
        latents = rng.standard_normal((3, z_dim)).astype(np.float32).tolist()
        cases.append(posted({"model": name, "latents": latents, "format": form, "padding": 1}))
        cases.append(posted({"model": reference, "n": 3, "seed": 9, "digit": 3, "truncation": 0.9, "format": form}))
    zeros, some = [[0.0] * 64], {"n": 2, "seed": 7}
    good = [some, {**some, "columns": 1, "scale": 2}, {"latents": zeros * 40}, {"latents": [[1] * 64]}, {}, {"seed": 1}]
    bad: list[object] = [
        *([], None, 7, "text", [some], {"n": "7"}, {"n": True}, {"n": 0}, {"n": 1.5}, {"seed": -1}, {"x": 1}),
        *({"latents": []}, {"latents": [[]]}, {"latents": [[0.0] * 63]}, {"latents": [["0"] * 64]}, {"latents": 7}),
        *({"latents": zeros, "n": 1}, {"latents": zeros, "seed": 1, "digit": 2}, {"latents": [[None] * 64]}),
        *(
            {"latents": [[1e39] * 64]},
            {"latents": zeros * 4097},
            {"latents": [[0.0] * 4097]},
            {"latents": [[True] * 64]},
        ),
        *(
            {"model": "nobody"},
            {"model": 7},
            {"format": "gif"},
            {"digit": 10},
            {"truncation": 0},
            {"columns": None, "seed": 1},
        ),
        *(
            b"",
            b"{",
            b"\xff",
            b"NaN",
            b'{"n": NaN}',
            b'{"n": 1e999}',
            b'{"n": 1, "seed": 1, "n": 2}',
            b"[" * 5000,
            b'{"n":2}x',
        ),
        *(b'{"latents": [[1e999]]}', b'\xef\xbb\xbf{"n": 2, "seed": 7}', b'{"seed": 99999999999999999999999, "n": 1}'),
    ]
    drawn = [
        Case(one.target, one.method, one.headers, one.body, one.note, is_drawn=True) for one in map(posted, good[4:5])
    ]
    types = ("text/plain", "", "application/json; charset=utf-8", "application/problem+json", "multipart/form-data")
    typed = [posted(some, (("Content-Type", kind),)) for kind in types]
    accepted = [
        posted(some, (("Content-Type", "application/json"), ("Accept", kind))) for kind in ("image/*", "text/html")
    ]
    return [*cases, *map(posted, good[:4]), *drawn, posted(good[5]), *map(posted, bad), *typed, *accepted]


def _interpolations(references: list[str]) -> list[Case]:
    forms = [f"seeds=7,8&steps=3&format={form}" for form in ("png", "gif", "webp", "json")]
    each = [f"{query}&model={model}" for query in forms for model in references]
    modes = [f"seeds=7,8,9&steps=2&mode={m}&model={r}&format=json" for m in ("slerp", "linear") for r in references]
    loops = [f"seeds=1,2,3&steps=2&loop={loop}" for loop in ("true", "false", "1", "0", "yes", "x", "")]
    sizes = ["columns=2", "columns=4096", "padding=0", "padding=64", "scale=3", "digit=4", "duration_ms=20"]
    animated = [
        f"seeds=7,8&steps=4&format={f}&scale=2&duration_ms={d}" for f in ("gif", "webp") for d in (20, 65, 1000)
    ]
    right = [*forms, *each, *modes, *loops, *(f"seeds=7,8&steps=2&{size}" for size in sizes), *animated]
    right += ["seeds=7,7", "seeds=%207%20,%208", "seeds=007,8&steps=1", f"seeds=0,{LARGEST_SEED}&steps=2"]
    seeds = ("", "7", "7,", "7,x", f"7,{2**53}", "-1,7", ",".join(["7"] * 17), "7;8", "7,8,%D9%A3", "7, 8")
    wrong = [
        *(f"seeds={seed.replace(' ', '+')}" for seed in seeds),
        "steps=2",
        "seeds=7,8&steps=0",
        "seeds=7,8&steps=257",
    ]
    wrong += ["seeds=7,8&mode=x", "seeds=7,8&format=npz", "seeds=7,8&duration_ms=19", "seeds=7,8&unknown=1"]
    wrong += ["seeds=7,8&steps=256&duration_ms=10000&format=gif", "seeds=7,8&steps=256&scale=16&padding=64&columns=1"]
    wrong += ["seeds=7,8&model=nobody", "seeds=7,8&digit=10", "seeds=7,8&seeds=9,10", "seeds=7,8&steps=x&scale=0"]
    heads = [Case(f"{PATHS}?{query}", "HEAD") for query in forms]
    return [*_gets(PATHS, *right, *wrong), *heads, Case(f"{PATHS}?seeds=7,8", "POST")]
