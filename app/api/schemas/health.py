"""`/healthz` and `/readyz`: whether the process lives, and whether it can answer requests."""

from pydantic import BaseModel, Field

from app.api.openapi import examples


class Health(BaseModel):
    """The process is alive."""

    status: str = Field(description="Always `alive`", examples=["alive"])


class Readiness(BaseModel):
    """Whether requests can be answered, and if not, why."""

    ready: bool = Field(description="Whether requests can be answered", examples=[True])
    engine: str = Field(description="`answering`, or what is wrong with the engine", examples=["answering"])
    models: list[str] = Field(
        description="The usable models, as `name@hash`. The example has one", examples=[[examples.REFERENCE]]
    )
    models_folder: str = Field(
        description="`readable`, or why no model folder can be found in GAN_MODELS_DIR", examples=["readable"]
    )
    broken: dict[str, str] = Field(description="Why a model folder cannot be used, by its name", examples=[{}])
