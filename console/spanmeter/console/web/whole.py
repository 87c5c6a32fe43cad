"""Whole numbers in JSON: 2 and 2.0 are the same, "2" and true are none."""

from typing import Annotated

from pydantic import BeforeValidator


def _number(value: object) -> object:
    if isinstance(value, str | bool):
        raise ValueError("a number is written without quotes")
    return value


Whole = Annotated[int, BeforeValidator(_number)]
