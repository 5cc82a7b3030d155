"""`python -m benchmarks.rivals.litserve_service PORT`: the plain pictures, served by LitServe.

LitServe routes only POST, so the query parameters come with a POST. The batching is LitServe's:
https://lightning.ai/docs/litserve/features/batching.
"""

import signal
import sys
from collections.abc import Sequence
from typing import Annotated

import litserve
from fastapi import Query, Response
from pydantic import BaseModel

from benchmarks.services.plain_pictures import PlainPictures


class LitServeQuery(BaseModel):
    """The query of a request."""

    n: int = 64
    seed: int = 0


class LitServePictures(litserve.LitAPI):
    """The methods, in the order in which LitServe calls them, in a process beside the web server's."""

    def setup(self, device: str) -> None:
        del device
        self._draw = PlainPictures()

    def decode_request(self, request: Annotated[LitServeQuery, Query()]) -> tuple[int, int]:
        return request.n, request.seed

    def batch(self, inputs: Sequence[tuple[int, int]]) -> Sequence[tuple[int, int]]:
        return inputs

    def predict(self, x: Sequence[tuple[int, int]]) -> list[bytes]:
        return self._draw(x)

    def unbatch(self, output: list[bytes]) -> list[bytes]:
        return output

    def encode_response(self, output: bytes) -> Response:
        return Response(output, media_type="image/png")


def main() -> None:
    """Serve until SIGTERM, handled like Ctrl-C: otherwise only LitServe's first process ends, and the others stay."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # With a timeout of 0 the worker spins while it waits, and takes the core from the web server. Within 1 ms it takes
    # only a few requests from LitServe's queue, because each of them is a call to another process.
    pictures = LitServePictures(max_batch_size=16, batch_timeout=0.005, api_path="/samples")
    server = litserve.LitServer(pictures, accelerator="cpu", devices=1, workers_per_device=1, fast_queue=True)
    server.run(
        host="127.0.0.1",
        port=int(sys.argv[1]),
        num_api_servers=1,
        generate_client_file=False,
        log_level="warning",
        access_log=False,
    )


if __name__ == "__main__":
    main()
