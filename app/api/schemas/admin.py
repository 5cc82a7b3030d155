"""`/admin/reload`: what a reload of the models folder has changed."""

from pydantic import BaseModel, Field


class ReloadAnswer(BaseModel):
    """What reading the models folder again has changed."""

    default: str | None = Field(description="Name of the model of requests that name none")
    added: list[str] = Field(description="Models that are new, as name@hash")
    changed: list[str] = Field(description="Models of which there is another version now")
    removed: list[str] = Field(description="Models whose folders are gone")
    kept: list[str] = Field(description="Models that are what they were")
    broken: dict[str, str] = Field(
        description="Folders that cannot be used, and why; a version that was loaded before stays in its place"
    )
