"""What a setting may hold: counts, shares and amounts, each checked with a clear word on what is allowed."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import BeforeValidator, Field
from pydantic_settings import NoDecode

_PERCENTAGE = re.compile(r"(\d+(?:\.\d+)?)\s*%")


@dataclass(frozen=True, slots=True)
class Amount:
    """How much of something: ``count`` things, or a ``share`` (0 to 1) of what there is; exactly one is set."""

    count: int | None = None
    share: float | None = None


def _amount(value: object) -> Amount:
    if isinstance(value, Amount):
        return value
    match = _PERCENTAGE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match:
        percent = float(match[1])
        if 0 < percent <= 100:
            return Amount(share=percent / 100)
    else:
        whole = int(value) if isinstance(value, str) and value.strip().isdecimal() else value
        if isinstance(whole, int) and not isinstance(whole, bool) and 1 <= whole <= 1_000_000:
            return Amount(count=whole)
    raise ValueError(
        "allowed are a whole number from 1 to 1000000, or a percentage above 0 % and up to 100 %, as in '10%'"
    )


def _share(value: object) -> object:
    """A share may be written as a percentage; a number is taken as it is."""
    match = _PERCENTAGE.fullmatch(value.strip()) if isinstance(value, str) else None
    return float(match[1]) / 100 if match else _number(value)


def _number(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("allowed is a number, not true or false")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("allowed is a finite number")
    return value


def _flag(value: object) -> object:
    """True or false, as a word from the environment as well; nothing else is taken for one of them (B12)."""
    words = {"true": True, "false": False}
    return words.get(value, value) if isinstance(value, str) else value


Flag = Annotated[bool, BeforeValidator(_flag), Field(strict=True)]
Count = Annotated[int, BeforeValidator(_number)]
Seconds = Annotated[float, BeforeValidator(_number)]
Share = Annotated[float, BeforeValidator(_share), Field(gt=0, le=1)]
Limit = Annotated[Amount, NoDecode, BeforeValidator(_amount)]
Percent = Annotated[float, BeforeValidator(_number), Field(ge=0, le=100)]
