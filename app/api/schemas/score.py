"""`/v1/score`: D's score of uploaded images."""

from pydantic import BaseModel, Field

from app.api.openapi import examples
from app.api.schemas.fields import Reference


class Percentiles(BaseModel):
    """The rank of a logit among those of other images, in per cent."""

    real: float = Field(description="Percentage of held-out real images with a lower logit", examples=[29.53])
    generated: float = Field(description="Percentage of G's images with a lower logit", examples=[28.09])
    varied: float | None = Field(
        description="Percentage of held-out real images, varied as other pens, hands and scanners would draw them, "
        "with a lower logit. null for a model without such a calibration",
        examples=[47.25],
    )


class ScoreResult(BaseModel):
    """D's score of one image."""

    filename: str = Field(description="Name of the file, at most 200 characters of it", examples=["seven.png"])
    logit: float = Field(
        description="D's output before the sigmoid. Above 0, D takes the image for real rather than generated",
        examples=[-2.524],
    )
    probability: float = Field(description="D(x) = σ(logit), between 0 and 1", examples=[0.07417])
    percentile: Percentiles = Field(description="The rank of the logit among those of real and of generated images")
    input: str = Field(description="The image that D saw, as a PNG in base64", examples=[examples.UPLOAD_PNG])
    explanation: str | None = Field(
        description="The gradient of the logit with respect to the pixels of `input`, as an RGBA PNG of the same size "
        "in base64, which can be laid over it. In an orange place a brighter pixel raises the logit, in a blue one it "
        "lowers it. Alpha is the magnitude of the gradient, 255 for the largest in the image. null without "
        "`explain=true`, as in the example",
        examples=[None],
    )


class ScoreAnswer(BaseModel):
    """D's scores, in the order of the files."""

    model: Reference
    results: list[ScoreResult] = Field(description="One result for each file")


class Score(BaseModel):
    """D's score of an image of the answer."""

    logit: float = Field(
        description="D's output before the sigmoid. Above 0, D takes the image for real rather than generated",
        examples=[-2.524],
    )
    probability: float = Field(description="D(x) = σ(logit), between 0 and 1", examples=[0.07417])
    percentile: Percentiles = Field(description="The rank of the logit among those of real and of generated images")
