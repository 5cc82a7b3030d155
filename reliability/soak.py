"""An hour of everything: `python -m reliability.soak --minutes 60`.

Clients ask a real service, in one process, for pictures of every kind, archives, scores and projections. They send
wrong requests, disconnect in the middle, and let it read its models folder again each minute. Meanwhile its memory,
threads and open files are sampled. A line is fitted to its memory after the warm-up: the rise over the whole time must
be within the noise, or within 1 %. There must be as many threads and open files at the end as after the warm-up.
"""

import argparse
import io
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import httpx
import numpy as np
from PIL import Image, ImageDraw

from harness.pinned_services import started
from harness.report import describe_machine, table
from harness.service_specs import ours
from models import bundled_models_dir

Query: TypeAlias = dict[str, str | int]

CLIENTS = 4
REST_S = 0.3
"""Average pause of a client between two requests, so that the service is not fully used."""

SAMPLE_EVERY_S = 5.0
RELOAD_EVERY_S = 60.0
WARM_RELOAD_EVERY_S = 5.0
"""Interval of reloads in the warm-up: the allocator's free memory grows during the first fifty reloads only."""

MAX_RISE = 0.01


def main() -> int:
    """Run the trial and print its tables. Return 1 if something was wrong, otherwise 0."""
    parser = argparse.ArgumentParser(description="Send mixed traffic for an hour, and watch memory, threads and files.")
    parser.add_argument("--minutes", type=float, default=60, help="minutes after the warm-up (default: 60)")
    parser.add_argument("--warm-up-minutes", type=float, default=5, help="minutes before the sampling (default: 5)")
    options = parser.parse_args()
    answers: Counter[str] = Counter()
    stop = threading.Event()
    with started(ours(bundled_models_dir(), "mnist-conv")) as running:
        url = f"http://127.0.0.1:{running.port}"
        clients = [threading.Thread(target=play, args=(url, seed, answers, stop)) for seed in range(CLIENTS)]
        for client in clients:
            client.start()
        look(running.pid, options.warm_up_minutes * 60, reload_every_s=WARM_RELOAD_EVERY_S)
        seen = look(running.pid, options.minutes * 60, reload_every_s=RELOAD_EVERY_S)
        stop.set()
        for client in clients:
            client.join()
    return report(np.array(seen), answers)


def look(process: int, seconds: float, *, reload_every_s: float) -> list[tuple[float, float, int, int]]:
    """Sample seconds, MB of memory, threads and open files of a process, and reload it every `reload_every_s`."""
    seen = []
    began = reloaded = time.monotonic()
    while (now := time.monotonic()) - began < seconds:
        if now - reloaded > reload_every_s:
            reloaded = now
            subprocess.run(["kill", f"-{signal.SIGHUP.value}", str(process)], check=True)
        status = dict(
            line.split(":", 1) for line in Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines()
        )
        files = sum(1 for _ in Path(f"/proc/{process}/fd").iterdir())
        seen.append((now - began, int(status["VmRSS"].split()[0]) / 1000, int(status["Threads"]), files))
        time.sleep(SAMPLE_EVERY_S)
    return seen


def report(seen: np.ndarray, answers: Counter[str]) -> int:
    """Print the tables. Return 1 if something was wrong, otherwise 0."""
    seconds, memory, threads, files = seen.T
    slope, level = np.polyfit(seconds, memory, 1)
    noise = float(np.std(memory - slope * seconds - level))
    rise = float(slope * (seconds[-1] - seconds[0]))
    flat = abs(rise) <= max(noise, MAX_RISE * memory.mean()) or rise < 0
    tenth = max(1, len(seen) // 10)
    steady = all(
        np.median(of[-tenth:]) <= np.max(of[:tenth]) for of in (threads, files)
    )  # the numbers vary a little, because clients come and go
    broken = sum(n for what, n in answers.items() if "server error" in what or "no answer" in what)
    print(f"{describe_machine()}; {seconds[-1] / 60:.0f} minutes, {answers.total():,} requests\n")
    rows = [
        ["memory at the beginning and the end, MB", f"{memory[:tenth].mean():.1f}, {memory[-tenth:].mean():.1f}"],
        ["memory, smallest and largest, MB", f"{memory.min():.1f}, {memory.max():.1f}"],
        ["fitted rise over the whole time, MB", f"{rise:+.1f}"],
        ["noise about that line, MB", f"{noise:.1f}"],
        [
            "threads at the beginning and the end",
            f"{np.median(threads[:tenth]):.0f}, {np.median(threads[-tenth:]):.0f}",
        ],
        ["open files at the beginning and the end", f"{np.median(files[:tenth]):.0f}, {np.median(files[-tenth:]):.0f}"],
        ["server errors and requests without an answer", str(broken)],
    ]
    print(table(["", "seen"], rows))
    print()
    print(table(["request: answer", "times"], [[what, f"{n:,}"] for what, n in sorted(answers.items())]))
    return 0 if flat and steady and broken == 0 else 1


def play(url: str, seed: int, answers: Counter[str], stop: threading.Event) -> None:
    """Be one client: do one of `ACTS` after the other, at random, until `stop` is set."""
    rng = random.Random(seed)  # noqa: S311  (not a secret)
    acts = [act for act, weight in ACTS.items() for _ in range(weight)]
    with httpx.Client(base_url=url, timeout=60) as client:
        while not stop.is_set():
            act = rng.choice(acts)
            try:
                told = act(client, rng)
            except httpx.HTTPError as error:
                told = f"no answer ({type(error).__name__})"
            answers[f"{act.__name__}: {told}"] += 1
            stop.wait(rng.expovariate(1 / REST_S))


def kind(response: httpx.Response) -> str:
    """Return the status of an answer, or what is wrong with it."""
    if response.status_code >= 500:
        return "server error"
    if response.status_code >= 400 and response.headers["content-type"] != "application/problem+json":
        return "no problem document, server error"
    return str(response.status_code)


def picture(client: httpx.Client, rng: random.Random) -> str:
    """Ask for a grid of any size, of any model."""
    query: Query = {"n": rng.choice([1, 4, 64, 400]), "seed": rng.randrange(2**53), "model": rng.choice(MODELS)}
    return kind(client.get("/v1/samples", params=query))


def json_and_back(client: httpx.Client, rng: random.Random) -> str:
    """Get latents as JSON, and post them back."""
    got = client.get("/v1/samples", params={"n": 4, "seed": rng.randrange(100), "format": "json"})
    latents = [sample["latent"] for sample in got.json()["samples"]]
    return kind(client.post("/v1/samples", json={"latents": latents}))


def archive(client: httpx.Client, rng: random.Random) -> str:
    """Ask for a few thousand images, as a stream."""
    query: Query = {"n": 3000, "seed": rng.randrange(100), "format": rng.choice(["npz", "zip"])}
    return kind(client.get("/v1/samples", params=query))


def gone_in_the_middle(client: httpx.Client, _: random.Random) -> str:
    """Ask for an archive, and disconnect after its first bytes."""
    with client.stream("GET", "/v1/samples", params={"n": 50_000, "format": "npz"}) as response:
        next(response.iter_raw(1000))
    return "left"


def gone_at_once(client: httpx.Client, _: random.Random) -> str:
    """Send a request, and disconnect without waiting for the answer."""
    with socket.create_connection((client.base_url.host, client.base_url.port or 80)) as connection:
        connection.sendall(b"GET /v1/samples?n=4000&format=json HTTP/1.1\r\nHost: x\r\n\r\n")
    return "left"


def score(client: httpx.Client, rng: random.Random) -> str:
    """Score pictures, with and without the map of where D looks and the stages of the preparation."""
    files = [("files", (f"{k}.png", png(rng, rng.choice([28, 300])))) for k in range(rng.choice([1, 5]))]
    query = {name: rng.choice(["true", "false"]) for name in ("explain", "split", "steps")}
    return kind(client.post("/v1/score", files=files, params=query))


def bad_upload(client: httpx.Client, rng: random.Random) -> str:
    """Upload something that is not an image, or half of one."""
    data = rng.choice([b"no image", png(rng, 100)[:200], b""])
    return kind(client.post("/v1/score", files={"files": data}))


def project(client: httpx.Client, rng: random.Random) -> str:
    """Ask for the latent nearest to a picture."""
    return kind(client.post("/v1/projections", files={"file": png(rng, 28)}, params={"model": rng.choice(MODELS)}))


def walk(client: httpx.Client, rng: random.Random) -> str:
    """Ask for a path through seeds, as an animation or as a strip."""
    query: Query = {"seeds": "1,2,3", "steps": 16, "format": rng.choice(["gif", "webp", "png", "json"])}
    return kind(client.get("/v1/interpolations", params=query))


def wrong(client: httpx.Client, rng: random.Random) -> str:
    """Ask for parameters, paths and models that do not exist."""
    paths = ["/v1/samples?n=0", "/v1/samples?more=1", "/v1/models/none", "/nothing", "/v1/samples?seed=x&seed=y"]
    return kind(client.get(rng.choice(paths)))


def look_around(client: httpx.Client, rng: random.Random) -> str:
    """Ask for pages, models and health."""
    paths = ["/", "/docs", "/openapi.json", "/v1/models", "/v1/models/mnist-mlp/timeline/0.png", "/readyz", "/metrics"]
    return kind(client.get(rng.choice(paths)))


def png(rng: random.Random, side: int) -> bytes:
    """Make a picture of a stroke on noisy paper."""
    pixels = np.random.default_rng(rng.randrange(2**32)).integers(220, 256, (side, side), dtype=np.uint8)
    page = Image.fromarray(pixels)
    points = [(rng.randrange(side // 4, side * 3 // 4), side * (2 + 2 * place) // 10) for place in range(4)]
    ImageDraw.Draw(page).line(points, fill=20, width=max(2, side // 12), joint="curve")
    buffer = io.BytesIO()
    page.save(buffer, "PNG")
    return buffer.getvalue()


MODELS = ("mnist-conv", "mnist-mlp", "mnist-goodfellow2014-labels")
ACTS: dict[Callable[[httpx.Client, random.Random], str], int] = {
    picture: 12,
    json_and_back: 3,
    archive: 1,
    gone_in_the_middle: 1,
    gone_at_once: 2,
    score: 4,
    bad_upload: 3,
    project: 1,
    walk: 2,
    wrong: 4,
    look_around: 3,
}


if __name__ == "__main__":
    sys.exit(main())
