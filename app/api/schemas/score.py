"""`/v1/score`: D's score of uploaded images."""

from pydantic import BaseModel, Field

from app.api.openapi import examples
from app.api.schemas.fields import Reference


class Percentiles(BaseModel):
    """The rank of a logit among those of other images, in per cent."""

    real: float = Field(description="Percentage of held-out real images with a lower logit", examples=[29.53])
    generated: float = Field(description="Percentage of G's images with a lower logit", examples=[26.61])
    varied: float | None = Field(
        description="Percentage of held-out real images, varied as other pens, hands and scanners would draw them, "
        "with a lower logit. null for a model without such a calibration",
        examples=[47.25],
    )


class PreparationStep(BaseModel):
    """A stage of the preparation of an upload."""

    name: str = Field(
        description="The stage: `grey`, `flattened`, `ink` or `strokes`. A later version may have others",
        examples=["ink"],
    )
    words: str = Field(description="One sentence that says what was done to the picture")
    png: str = Field(description="The picture after this stage, at most 256 pixels a side, as a PNG in base64")


class ScoreResult(BaseModel):
    """D's score of one image, or the reason why there is none."""

    filename: str = Field(description="Name of the file, at most 200 characters of it", examples=["seven.png"])
    found: bool = Field(
        description="Whether a digit was found in the picture. If not, `reason` says why, and the fields from `box` to "
        "`explanation` are null. Always true with `preprocess=none` and for RGB models",
        examples=[True],
    )
    reason: str | None = Field(description="Why no digit was found, in words; null if one was", examples=[None])
    box: tuple[int, int, int, int] | None = Field(
        description="The part of the upload from which `input` was made: left, top, right and bottom in the pixels of "
        "the picture as a viewer shows it, turned by its EXIF orientation. Right and bottom are exclusive",
        examples=[(6, 7, 22, 27)],
    )
    logit: float | None = Field(
        description="D's output before the sigmoid. Above 0, D takes the image for real rather than generated",
        examples=[-2.688],
    )
    probability: float | None = Field(description="D(x) = σ(logit), between 0 and 1", examples=[0.06366])
    percentile: Percentiles | None = Field(
        description="The rank of the logit among those of real and of generated images",
        examples=[{"real": 29.53, "generated": 26.61, "varied": 47.25}],
    )
    input: str | None = Field(description="The image that D saw, as a PNG in base64", examples=[examples.UPLOAD_PNG])
    explanation: str | None = Field(
        description="The gradient of the logit with respect to the pixels of `input`, as an RGBA PNG of the same size "
        "in base64, which can be laid over it. In an orange place a brighter pixel raises the logit, in a blue one it "
        "lowers it. Alpha is the magnitude of the gradient, 255 for the largest in the image. null without "
        "`explain=true`, as in the example",
        examples=[None],
    )
    steps: list[PreparationStep] | None = Field(
        description="The stages of the preparation, in their order; empty if the picture was taken as it is. null "
        "without `steps=true`, as in the example",
        examples=[None],
    )


class ScoreAnswer(BaseModel):
    """D's scores, in the order of the files."""

    model: Reference
    results: list[ScoreResult] = Field(description="One result for each file; with `split=true` one for each digit")


class Score(BaseModel):
    """D's score of an image of the answer."""

    logit: float = Field(
        description="D's output before the sigmoid. Above 0, D takes the image for real rather than generated",
        examples=[-2.688],
    )
    probability: float = Field(description="D(x) = σ(logit), between 0 and 1", examples=[0.06366])
    percentile: Percentiles = Field(description="The rank of the logit among those of real and of generated images")
