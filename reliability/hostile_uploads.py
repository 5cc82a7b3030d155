"""Hostile images and bodies to a real service: `python -m reliability.hostile_uploads --images 5000`.

The images of `reliability.hostile.images` go to /v1/score, which may also be asked for each digit or for the stages of
the preparation. One in twenty goes to /v1/projections, which may find no digit in it (422). Then come bodies that are
too large in every possible way, forms with too many parts, and many large ones at once. Every answer must be 200 or a
problem document of 413, 415 or 422 (429 if too much comes at once), and must come soon. Meanwhile the service must
answer other clients, and its memory must stay within bounds.
"""

import argparse
import random
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np

from harness.process_tree import peak_mb
from harness.report import describe_machine, table
from harness.service import Service, running
from harness.tiny_models import write_models_named_as_bundled
from reliability.hostile.images import Hostile, chunk, corpus, large_image, plain

CLIENTS = 3
TIMEOUT_S = 30.0
"""Longest time until an answer; other work may run on the machine."""

MAX_OTHERS_S = 5.0
"""Longest time until the answer to any small request that is made meanwhile."""

MAX_MB = 1500
"""Largest rise of memory, MB, above that of a ready service: two images of 40 million pixels that are being decoded, of
some 500 MB each, and 8 bodies of 32 MB."""

STATUSES = (200, 413, 415, 422, 429)
MB = 2**20
BODY = 32 * MB
"""The default of GAN_MAX_BODY_BYTES."""


@dataclass
class UploadAnswers:
    """Answers to one kind of upload."""

    statuses: list[int] = field(default_factory=list)
    longest_s: float = 0.0


class UploadTrial:
    """The requests that were sent, and their answers."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.kinds: dict[str, UploadAnswers] = {}
        self.wrong: list[str] = []
        self._lock = threading.Lock()

    def send(self, kind: str, statuses: frozenset[int], ask: Callable[[], httpx.Response]) -> None:
        """Send a request; its answer must have one of the statuses."""
        began = time.monotonic()
        try:
            answer = ask()
        except httpx.HTTPError as error:
            self._note(kind, 0, time.monotonic() - began, [f"no answer: {error!r}"])
            return
        wrong = [] if answer.status_code in statuses else [f"{answer.status_code}: {answer.text[:300]}"]
        if answer.status_code >= 400 and answer.headers.get("content-type") != "application/problem+json":
            wrong.append("no problem document")
        self._note(kind, answer.status_code, time.monotonic() - began, wrong)

    def _note(self, kind: str, status: int, seconds: float, wrong: list[str]) -> None:
        if seconds > TIMEOUT_S:
            wrong.append(f"took {seconds:.0f} s")
        with self._lock:
            seen = self.kinds.setdefault(kind, UploadAnswers())
            seen.statuses.append(status)
            seen.longest_s = max(seen.longest_s, seconds)
            self.wrong += [f"{kind}: {text}" for text in wrong]


def main() -> int:
    """Run the trial and print its table. Return 1 if something was wrong, otherwise 0."""
    parser = argparse.ArgumentParser(description="Send hostile images and bodies to a real service.")
    parser.add_argument("--images", type=int, default=5000, help="number of images (default: 5000)")
    parser.add_argument("--seed", type=int, default=2014, help="seed of the images (default: 2014)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gan-uploads-") as work:
        folder = Path(work)
        with running(folder, models_dir=write_models_named_as_bundled(folder / "models"), log_level="error") as service:
            trial = UploadTrial(service)
            ready_mb = peak_mb(service.process.pid)
            with watched(service) as others:
                send_images(trial, corpus(seed=options.seed, count=options.images))
                images_mb = peak_mb(service.process.pid)
                send_bodies(trial)
            all_mb = peak_mb(service.process.pid)
            log = service.log.read_text(encoding="utf-8")
    trial.wrong += judge(others, ready_mb=ready_mb, highest=all_mb, log=log)
    print(f"{describe_machine()}; {options.images:,} images, seed {options.seed}\n")
    print(kinds_table(trial.kinds))
    print(
        f"\nThe most memory that the service had: {ready_mb:.0f} MB when it was ready, {images_mb:.0f} MB after the "
        f"images, {all_mb:.0f} MB at the end. Meanwhile {len(others):,} requests for one image were answered, half of "
        f"them within {np.median(others) * 1000:.0f} ms, the slowest in {max(others):.2f} s."
    )
    print("".join(f"\n{text}" for text in trial.wrong), end="")
    return 1 if trial.wrong else 0


def send_images(trial: UploadTrial, images: Iterator[Hostile]) -> None:
    """Send all images, by `CLIENTS` clients at once."""

    def send(numbered: tuple[int, Hostile]) -> None:
        number, image = numbered
        path, name = ("/v1/projections", "file") if number % 20 == 19 else ("/v1/score", "files")
        query = {"model": ("mnist-mlp", "mnist-goodfellow2014-labels")[number % 2]}
        nothing_found: set[int] = set()
        if name == "files":
            query |= ({}, {"split": "true"}, {"steps": "true"})[number % 3]
        elif 200 in image.statuses:
            nothing_found = {422}  # its strokes may be no digit
        trial.send(
            image.kind,
            image.statuses | nothing_found,
            lambda: trial.service.client.post(path, params=query, files={name: ("x.png", image.data)}),
        )

    with ThreadPoolExecutor(CLIENTS) as clients:
        for _ in clients.map(send, enumerate(images)):  # the corpus is made while it is sent
            pass


def send_bodies(trial: UploadTrial) -> None:
    """Send bodies that are too large in every way, and many large ones at once."""
    rng = random.Random(0)  # noqa: S311  (not a secret)
    client = trial.service.client
    good, large = plain(rng, "PNG"), large_image(rng)
    huge = good[:33] + chunk(b"teXt", bytes(30 * MB)) + good[33:]
    form = {"Content-Type": "multipart/form-data; boundary=x"}
    json = {"Content-Type": "application/json"}
    latents = b'{"latents":[' + b",".join([b"[" + b",".join([b"0.5"] * 64) + b"]"] * 110_000) + b"]}"

    def files(n: int, data: bytes) -> list[tuple[str, tuple[str, bytes]]]:
        return [("files", ("x.png", data))] * n

    def chunks(size: int) -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="files"; filename="x.png"\r\n\r\n'
        for _ in range(size // MB):
            yield bytes(MB)

    def score(**arguments: object) -> Callable[[], httpx.Response]:
        return lambda: client.post("/v1/score", timeout=2 * TIMEOUT_S, **arguments)  # type: ignore[arg-type]

    def one(*statuses: int) -> frozenset[int]:
        return frozenset(statuses)

    trial.send("64 files", one(200), score(files=files(64, good)))
    trial.send("65 files", one(422), score(files=files(65, good)))
    trial.send("9 fields", one(422), score(data={f"f{k}": "x" for k in range(9)}, files=files(1, good)))
    trial.send("a field of 2 MB", one(413, 422), score(data={"model": "x" * 2 * MB}, files=files(1, good)))
    trial.send("64 images of 39.7 million pixels", one(413), score(files=files(64, large)))
    trial.send("4 images of 39.7 million pixels", one(200), score(files=files(4, large)))
    trial.send("a body at the limit, no form", one(422), score(content=bytes(BODY), headers=form))
    trial.send("a byte more", one(413), score(content=bytes(BODY + 1), headers=form))
    trial.send("chunked, too large", one(413), score(content=chunks(40 * MB), headers=form))
    trial.send(
        "chunked JSON, too large", one(413), lambda: client.post("/v1/samples", content=chunks(40 * MB), headers=json)
    )
    trial.send("its length a lie", one(413), lambda: lie(trial.service))
    trial.send("28 MB of JSON", one(413, 422), lambda: client.post("/v1/samples", content=latents, headers=json))
    with ThreadPoolExecutor(24) as clients:
        for _ in range(24):
            clients.submit(trial.send, "24 forms of 30 MB at once", one(200, 429), score(files=files(1, huge)))
    with ThreadPoolExecutor(12) as clients:
        for _ in range(12):
            clients.submit(trial.send, "12 times 4 large images at once", one(200, 429), score(files=files(4, large)))


def lie(service: Service) -> httpx.Response:
    """Claim a body of a terabyte, and send nothing of it."""
    url = httpx.URL(service.url)
    with socket.create_connection((url.host, url.port or 80), timeout=TIMEOUT_S) as connection:
        connection.sendall(b"POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Length: 1099511627776\r\n\r\n")
        head = connection.recv(65_536).decode("latin-1")
    headers = dict(line.split(": ", 1) for line in head.partition("\r\n\r\n")[0].split("\r\n")[1:])
    return httpx.Response(int(head.split(" ")[1]), headers=headers)


@contextmanager
def watched(service: Service) -> Iterator[list[float]]:
    """Ask for one image after the other. Return the seconds of each request, infinite for one that failed."""
    seconds: list[float] = []
    stop = threading.Event()
    thread = threading.Thread(target=_ask_until, args=(stop, service.url, seconds))
    thread.start()
    try:
        yield seconds
    finally:
        stop.set()
        thread.join()


def _ask_until(stop: threading.Event, url: str, seconds: list[float]) -> None:
    with httpx.Client(base_url=url, timeout=TIMEOUT_S) as client:
        while not stop.wait(0.05):
            began = time.monotonic()
            try:
                client.get("/v1/samples?n=1&model=mnist-mlp").raise_for_status()
                seconds.append(time.monotonic() - began)
            except httpx.HTTPError:
                seconds.append(float("inf"))


def judge(others: list[float], *, ready_mb: float, highest: float, log: str) -> list[str]:
    """Return what is wrong apart from single answers."""
    wrong = []
    if not others or max(others) > MAX_OTHERS_S:
        wrong.append(f"others waited: {max(others, default=0):.1f} s")
    if highest - ready_mb > MAX_MB:
        wrong.append(f"memory rose to {highest:.0f} MB")
    if "Traceback" in log:
        wrong.append(f"the service's log: {log[-3000:]}")
    return wrong


def kinds_table(kinds: dict[str, UploadAnswers]) -> str:
    """Return a table of the answers, by the kind of upload."""
    rows = [
        [
            kind,
            f"{len(seen.statuses):,}",
            *(f"{seen.statuses.count(status):,}" for status in STATUSES),
            f"{seen.longest_s:.2f}",
        ]
        for kind, seen in kinds.items()
    ]
    sent = [status for seen in kinds.values() for status in seen.statuses]
    longest = max(seen.longest_s for seen in kinds.values())
    rows.append(["all", f"{len(sent):,}", *(f"{sent.count(status):,}" for status in STATUSES), f"{longest:.2f}"])
    return table(["upload", "sent", "accepted", *map(str, STATUSES[1:]), "longest, s"], rows)


if __name__ == "__main__":
    sys.exit(main())
