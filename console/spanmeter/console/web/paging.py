"""Pages of a listing by its keys: the next one begins after the last row of this one, whatever came in meanwhile."""

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final, Generic, TypeVar

from fastapi import Query, Request
from pydantic import BaseModel, Field

from spanmeter.console.web.problems import Problem

Row = TypeVar("Row")

_MAX_CURSOR: Final = 8192

Limit = Annotated[int, Query(ge=1, le=1000, description="Rows of a page.")]
Cursor = Annotated[
    str | None,
    Query(
        max_length=_MAX_CURSOR,
        pattern=r"^[A-Za-z0-9_=-]+$",
        description="Where the next page begins: from `next`, as it is.",
    ),
]


class Page(BaseModel, Generic[Row]):
    """Some rows, and where the next ones are."""

    data: list[Row]
    next: str | None = Field(
        None, description="Path and query of the next page; null: this is the last."
    )


def written(key: Sequence[object]) -> str:
    """A cursor that stands after the row of this key."""
    return base64.urlsafe_b64encode(json.dumps([str(each) for each in key]).encode()).decode()


def read(cursor: str | None, *kinds: Callable[[str], Any]) -> tuple[Any, ...] | None:
    """The key in a cursor, each part of its kind. Raises Problem 400."""
    if cursor is None:
        return None
    try:
        parts = json.loads(base64.urlsafe_b64decode(cursor.encode("ascii")))
        if len(parts) != len(kinds) or any("\0" in part for part in parts):
            raise ValueError("it has other parts")
        return tuple(kind(part) for kind, part in zip(kinds, parts, strict=True))
    except (ValueError, TypeError, ArithmeticError, RecursionError, binascii.Error) as error:
        raise Problem.meaningless("the cursor is none of ours: take it from `next`") from error


def page_of(
    request: Request, rows: Sequence[Row], limit: int, key: Callable[[Row], Sequence[object]]
) -> tuple[list[Row], str | None]:
    """Of `limit + 1` rows the first `limit`, and the address of those after them, if there are any."""
    if len(rows) <= limit:
        return list(rows), None
    shown = list(rows[:limit])
    following = request.url.include_query_params(cursor=written(key(shown[-1])))
    return shown, f"{following.path}?{following.query}"
