"""Pydantic's mistakes as text."""

from typing import Self

import pytest
from pydantic import BaseModel, ValidationError, model_validator

from models.validation import describe_mistakes


class Pair(BaseModel):
    low: int
    high: int

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.low > self.high:
            raise ValueError("low is above high")
        return self


def error_of(document: object) -> ValidationError:
    with pytest.raises(ValidationError) as caught:
        Pair.model_validate(document)
    return caught.value


def test_an_own_check_has_no_prefix_and_the_name_of_the_document():
    assert describe_mistakes(error_of({"low": 2, "high": 1}), whole="the file") == "the file: low is above high"


def test_mistakes_beyond_the_most_are_counted():
    error = error_of({})
    assert describe_mistakes(error, whole="the file") == "low: Field required; high: Field required"
    assert describe_mistakes(error, whole="the file", most=1) == "low: Field required; and 1 more"
