"""`/admin/reload`: what a reload of the models folder has changed."""

from pydantic import BaseModel, Field


class ReloadAnswer(BaseModel):
    """The changes that a reload of the models folder has made. Models in lists are given as `name@hash`."""

    default: str | None = Field(description="Name of the model that answers requests which name none")
    added: list[str] = Field(description="Models that are new")
    changed: list[str] = Field(description="Models that have another version now")
    removed: list[str] = Field(description="Models whose folders are gone")
    kept: list[str] = Field(description="Models that have not changed")
    models_folder: str = Field(
        description="`readable`, or why no model folder can be found in GAN_MODELS_DIR; all models then stay in use"
    )
    broken: dict[str, str] = Field(
        description="Why a folder cannot be used, by its name. If a version of it was loaded before, that stays in use"
    )
