"""`/v1/score`: D's opinion of uploaded images."""

from pydantic import BaseModel, Field

from app.api.openapi import examples
from app.api.schemas.fields import Reference


class Percentiles(BaseModel):
    """Where a logit lies, in per cent."""

    real: float = Field(description="Share of held-out real images that D took for less real", examples=[19.92])
    generated: float = Field(description="Share of G's images that D took for less real", examples=[20.07])


class ScoreResult(BaseModel):
    """D's opinion of one image."""

    filename: str = Field(examples=["seven.png"])
    logit: float = Field(description="D's output before the sigmoid; above 0 means rather real", examples=[-2.547])
    probability: float = Field(description="σ(logit), D(x)", examples=[0.07263])
    percentile: Percentiles
    input: str = Field(description="What D saw, as PNG, base64", examples=[examples.UPLOAD_PNG])
    explanation: str | None = Field(
        description="Where D looks: the gradient of the logit by the pixels of `input`, as an RGBA PNG of its size, "
        "base64, to lay over it. Orange where a brighter pixel raises the logit, blue where it lowers it; alpha is "
        "the gradient's magnitude, 255 at the image's largest. null without `explain=true`, as in the example",
        examples=[None],
    )


class ScoreAnswer(BaseModel):
    """D's opinions, in the order of the files."""

    model: Reference
    results: list[ScoreResult]


class Score(BaseModel):
    """D's opinion of a picture that the answer holds."""

    logit: float = Field(description="D's output before the sigmoid; above 0 means rather real", examples=[-2.547])
    probability: float = Field(description="σ(logit), D(x)", examples=[0.07263])
    percentile: Percentiles
