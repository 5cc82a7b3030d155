"""`python -m benchmarks.rivals.ray_service PORT FOLDER`: Ray Serve serves the pictures of `PlainPictures`.

Ray keeps its files in FOLDER. The batching is Ray's:
https://docs.ray.io/en/latest/serve/advanced-guides/dyn-req-batch.html.
"""

import signal
import sys

import ray
from ray import serve
from starlette.requests import Request
from starlette.responses import Response

from benchmarks.services.plain_pictures import PlainPictures

MAX_BATCH = 64


class RayServePictures:
    """One replica; it draws the images of all waiting requests together."""

    def __init__(self) -> None:
        self._draw = PlainPictures()

    async def __call__(self, request: Request) -> Response:
        """Return a PNG grid of n images."""
        query = request.query_params
        return Response(await self.drawn((int(query["n"]), int(query["seed"]))), media_type="image/png")

    @serve.batch(max_batch_size=MAX_BATCH, batch_wait_timeout_s=0)
    async def drawn(self, asked: list[tuple[int, int]]) -> list[bytes]:
        """Draw the grids of several requests. Ray collects their arguments into lists."""
        return self._draw(asked)


def main() -> None:
    """Serve until SIGTERM."""
    port, folder = int(sys.argv[1]), sys.argv[2]
    ray.init(
        num_cpus=1,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
        object_store_memory=100 * 2**20,
        _temp_dir=folder,
    )
    serve.start(
        http_options={"host": "127.0.0.1", "port": port},
        logging_config={"log_level": "ERROR", "enable_access_log": False},
    )
    deployment = serve.deployment(num_replicas=1, max_ongoing_requests=4 * MAX_BATCH)(RayServePictures)
    serve.run(deployment.bind(), route_prefix="/samples")
    signal.sigwait({signal.SIGTERM})
    serve.shutdown()
    ray.shutdown()


if __name__ == "__main__":
    main()
