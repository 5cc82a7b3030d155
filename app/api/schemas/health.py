"""`/healthz` and `/readyz`: whether the process lives, and whether it can answer requests."""

from pydantic import BaseModel, Field

from app.api.openapi import examples


class Health(BaseModel):
    """The process is alive."""

    status: str = Field(examples=["alive"])


class Readiness(BaseModel):
    """Whether requests can be answered, and what stands in the way."""

    ready: bool = Field(examples=[True])
    engine: str = Field(description="answering, or what is wrong", examples=["answering"])
    models: list[str] = Field(description="Usable models; the example has one", examples=[[examples.REFERENCE]])
    broken: dict[str, str] = Field(description="Model folders that cannot be used, and why", examples=[{}])
