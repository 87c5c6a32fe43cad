"""The JSON files that a provider's API answers with: pages of time buckets, however they were saved."""

import json
from collections.abc import Generator, Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final, cast

from spanmeter.console.bounded_file import content_of
from spanmeter.metering.reconciliation.bill import UnreadableBill

MAX_BYTES: Final = 256 * 1024 * 1024
"""Of one file; a year of daily reports by model and key is a few MB."""

Page = Mapping[str, Any]


def pages(paths: Iterable[Path]) -> Generator[tuple[str, Page]]:
    """The pages in these files, each with where it is from.

    A file holds one page, a list of pages, or a page on each line. Numbers with a point are decimals. Raises
    `UnreadableBill`.
    """
    for path in paths:
        for page in _documents(path):
            found = as_object(page)
            if found is None or not isinstance(found.get("data"), list):
                raise UnreadableBill(f"{path} is no page of a report: it has no list called data")
            yield str(path), found


def as_object(value: object) -> Page | None:
    """A JSON object; `None` for anything else."""
    return cast("Page", value) if isinstance(value, dict) else None


def as_list(value: object) -> Sequence[Any] | None:
    """A JSON array; `None` for anything else."""
    return cast("Sequence[Any]", value) if isinstance(value, list) else None


def _documents(path: Path) -> Sequence[Any]:
    try:
        content = content_of(path, MAX_BYTES)
    except OSError as error:
        raise UnreadableBill(f"{path} cannot be read: {error.strerror}") from error
    try:
        text = content.decode("utf-8-sig")
        try:
            document = parsed(text)
        except json.JSONDecodeError:
            return [parsed(line) for line in text.splitlines() if line.strip()]
    except (ValueError, RecursionError) as error:
        raise UnreadableBill(f"{path} is no JSON: {error}") from error
    listed = as_list(document)
    return [document] if listed is None else listed


def parsed(text: str) -> Any:
    """JSON with exact decimals. Raises ValueError."""
    return json.loads(text, parse_float=Decimal, parse_constant=_refused)


def _refused(constant: str) -> None:
    raise ValueError(f"{constant} is no number")


def decimal(value: object, where: str) -> Decimal:
    """A number, or a text of one, exactly. Raises `UnreadableBill`."""
    try:
        # A float would be the nearest binary fraction and not what is written.
        number = Decimal(value) if isinstance(value, int | str | Decimal) else None
    except InvalidOperation:
        number = None
    if number is None or isinstance(value, bool) or not number.is_finite():
        raise UnreadableBill(f"{where} is {value!r:.100}, which is no number")
    return number


def count(value: object, where: str) -> Decimal:
    """A number that is not below 0; `None` is 0. Raises `UnreadableBill`."""
    number = decimal(0 if value is None else value, where)
    if number < 0:
        raise UnreadableBill(f"{where} is {number}: a count cannot be below 0")
    return number


def text(value: object, where: str) -> str | None:
    """A text or nothing. Raises `UnreadableBill`."""
    if value is None or isinstance(value, str):
        return value or None
    raise UnreadableBill(f"{where} is {value!r:.100}, which is no text")


def results(found: Iterable[tuple[str, Page]]) -> Generator[tuple[str, Page, Page]]:
    """The results of all time buckets of pages: where each is, its bucket, the result. Raises `UnreadableBill`."""
    for where, page in found:
        yield from _of_page(page, where)


def _of_page(page: Page, where: str) -> Generator[tuple[str, Page, Page]]:
    for at, each in enumerate(page["data"]):
        bucket = as_object(each)
        found = as_list(bucket.get("results")) if bucket is not None else None
        if bucket is None or found is None:
            raise UnreadableBill(
                f"{where}, data[{at}] is no time bucket: it has no list called results"
            )
        for number, result in enumerate(found):
            place = f"{where}, data[{at}].results[{number}]"
            told = as_object(result)
            if told is None:
                raise UnreadableBill(f"{place} is no object")
            yield place, bucket, told
