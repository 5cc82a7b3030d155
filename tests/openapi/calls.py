"""Calls every operation with the client of openapi-python-client, and prints the names of those that answered.

It runs in the environment of the tools: `python calls.py URL PNG`, with the generated package `generated_client` on
PYTHONPATH.
"""

import json
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

from generated_client import Client
from generated_client.api.health import get_health, get_metrics, get_readiness
from generated_client.api.models import get_history, get_model, get_timeline, get_timeline_picture, list_models
from generated_client.api.projections import post_projection
from generated_client.api.samples import get_interpolation, get_samples, post_samples
from generated_client.api.score import post_score
from generated_client.models import (
    GetInterpolationFormatType0,
    GetSamplesFormatType0,
    PostProjectionBody,
    PostScoreBody,
    SamplesAnswer,
    SamplesBody,
    SamplesBodyFormatType0,
)
from generated_client.types import File

MODEL = "mnist-conv"


def main(url: str, png: bytes) -> None:
    """Call every operation, and follow an answer's latent back to its image."""
    client = Client(base_url=url, raise_on_unexpected_status=True)

    def file() -> File:
        return File(payload=BytesIO(png), file_name="seven.png", mime_type="image/png")

    # The client takes every answer of samples for a file, since the document lists PNG first.
    drawn = get_samples.sync_detailed(client=client, n=2, seed=7, format_=GetSamplesFormatType0.JSON)
    answer = SamplesAnswer.from_dict(json.loads(drawn.content))
    posted = SamplesBody(latents=[answer.samples[0].latent], model=answer.model, format_=SamplesBodyFormatType0.JSON)
    again = SamplesAnswer.from_dict(json.loads(post_samples.sync_detailed(client=client, body=posted).content))
    if again.samples[0].png != answer.samples[0].png:
        raise SystemExit("the image of a posted latent is another")

    calls: dict[str, Callable[[], Any]] = {
        "get_samples": lambda: get_samples.sync_detailed(client=client, seed=7, format_=GetSamplesFormatType0.JSON),
        "post_samples": lambda: post_samples.sync_detailed(client=client, body=posted),
        "get_interpolation": lambda: get_interpolation.sync_detailed(
            client=client, seeds="1,2", format_=GetInterpolationFormatType0.JSON
        ),
        "post_score": lambda: post_score.sync_detailed(client=client, body=PostScoreBody(files=[file(), file()])),
        "post_projection": lambda: post_projection.sync_detailed(client=client, body=PostProjectionBody(file=file())),
        "list_models": lambda: list_models.sync_detailed(client=client),
        "get_model": lambda: get_model.sync_detailed(MODEL, client=client),
        "get_history": lambda: get_history.sync_detailed(MODEL, client=client),
        "get_timeline": lambda: get_timeline.sync_detailed(MODEL, client=client),
        "get_timeline_picture": lambda: get_timeline_picture.sync_detailed(MODEL, 0, client=client),
        "get_health": lambda: get_health.sync_detailed(client=client),
        "get_readiness": lambda: get_readiness.sync_detailed(client=client),
        "get_metrics": lambda: get_metrics.sync_detailed(client=client),
    }
    for name, call in calls.items():
        answer = call()
        if answer.status_code != 200 or answer.parsed is None:
            raise SystemExit(f"{name}: {answer.status_code} {answer.content[:500]!r}")
        print(name)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]).read_bytes())
