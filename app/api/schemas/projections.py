"""`/v1/projections`: the latent nearest to an uploaded image."""

from pydantic import BaseModel, Field

from app.api.openapi import examples
from app.api.schemas.fields import Reference, Sha256
from app.api.schemas.score import Score


class Distance(BaseModel):
    """How far two images are from each other, over all pixels, in grey levels (0–255)."""

    mean_absolute: float = Field(examples=[2.966])
    root_mean_square: float = Field(examples=[9.973])


class ProjectionScores(BaseModel):
    """D's opinion of the upload, and of the image nearest to it."""

    input: Score
    projection: Score = Field(
        examples=[{"logit": -4.11, "probability": 0.01615, "percentile": {"real": 7.475, "generated": 8.547}}]
    )


class ProjectionAnswer(BaseModel):
    """The latent nearest to an upload."""

    model: Reference
    model_sha256: Sha256
    latent: list[float] = Field(
        description="z, exact float32 values: posted to /v1/samples, they give `png` again. The example has the first "
        "three",
        examples=[[-0.2667545676231384, 1.3304002285003662, -0.2796686887741089]],
    )
    png: str = Field(description="G's image of the latent as PNG, base64", examples=[examples.PROJECTION_PNG])
    input: str = Field(
        description="The upload in the shape of G's images, as PNG, base64", examples=[examples.UPLOAD_PNG]
    )
    distance: Distance = Field(description="Between the two")
    score: ProjectionScores
    steps: int = Field(description="From the start of the search to the latent", examples=[17])
    restarts: int = Field(description="Latents that the search started from", examples=[10])
