"""`/v1/projections`: the latent whose image is nearest to an upload."""

from pydantic import BaseModel, Field

from app.api.openapi import examples
from app.api.schemas.fields import Reference, Sha256
from app.api.schemas.score import Score


class Distance(BaseModel):
    """The distance between two images, over all pixels, in grey levels (0 to 255)."""

    mean_absolute: float = Field(description="Mean absolute difference", examples=[3.082])
    root_mean_square: float = Field(description="Square root of the mean squared difference", examples=[10.9])


class ProjectionScores(BaseModel):
    """D's scores of the upload, and of the image nearest to it."""

    input: Score
    projection: Score = Field(
        examples=[
            {
                "logit": -4.885,
                "probability": 0.007505,
                "percentile": {"real": 14.26, "generated": 12.83, "varied": 26.67},
            }
        ]
    )


class ProjectionAnswer(BaseModel):
    """The latent whose image is nearest to an upload."""

    model: Reference
    model_sha256: Sha256
    latent: list[float] = Field(
        description="The latent z, as exact float32 values. If they are posted to /v1/samples, they give `png` again. "
        "The example has the first three",
        examples=[[-0.23231281340122223, 0.8911842703819275, -0.2605346739292145]],
    )
    png: str = Field(
        description="The image that G draws from the latent, as a PNG in base64", examples=[examples.PROJECTION_PNG]
    )
    input: str = Field(
        description="The upload, converted to the shape of G's images, as a PNG in base64",
        examples=[examples.UPLOAD_PNG],
    )
    distance: Distance = Field(description="The distance between `png` and `input`")
    score: ProjectionScores = Field(description="D's scores of both images")
    steps: int = Field(description="Number of steps from the start of the search to the latent", examples=[17])
    restarts: int = Field(description="Number of latents from which the search was started", examples=[10])
