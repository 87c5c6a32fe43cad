"""Reports from a provider's own API, page by page, with an administrator's key from the environment."""

import logging
import os
import time
from collections.abc import Generator, Mapping
from datetime import UTC, date, datetime
from typing import Any, Final, NamedTuple

import httpx2

from spanmeter.console.bills.documents import MAX_BYTES, as_object, parsed
from spanmeter.metering.reconciliation.bill import UnreadableBill

logger = logging.getLogger(__name__)

TIMEOUT: Final = 60.0
"""Seconds; these reports are computed when they are asked for."""

ATTEMPTS: Final = 5
PASSING: Final = frozenset({408, 409, 429, 500, 502, 503, 504, 529})
"""Statuses after which the same request may succeed. 529: Anthropic is overloaded."""

LONGEST_WAIT: Final = 60.0

MAX_PAGES: Final = 10_000

Query = Mapping[str, str | int | list[str]]


class ProviderRefused(Exception):
    """The provider did not give its report; the message says what it answered."""


class Report(NamedTuple):
    """One endpoint, and what it is asked for beside the period."""

    path: str
    query: Query


class ProviderApi(NamedTuple):
    """How a provider's reports are asked for. `moment` writes a time as its API wants it."""

    name: str
    address: str
    key: str
    """The environment variable that holds the key."""
    headers: Mapping[str, str]
    credential: tuple[str, str]
    """The header that carries the key, and what stands before it there."""
    since: str
    until: str
    unix_time: bool
    reports: tuple[Report, ...]


_OPENAI_USAGE: Final = ("project_id", "model", "batch", "service_tier")

OPENAI: Final = ProviderApi(
    "OpenAI",
    "https://api.openai.com",
    "OPENAI_ADMIN_KEY",
    {},
    ("authorization", "Bearer "),
    since="start_time",
    until="end_time",
    unix_time=True,
    reports=(
        Report(
            "/v1/organization/costs",
            {"bucket_width": "1d", "limit": 180, "group_by": ["project_id", "line_item"]},
        ),
        Report(
            "/v1/organization/usage/completions",
            {"bucket_width": "1d", "limit": 31, "group_by": list(_OPENAI_USAGE)},
        ),
        *(
            Report(
                f"/v1/organization/usage/{name}",
                {"bucket_width": "1d", "limit": 31, "group_by": ["project_id", "model"]},
            )
            for name in (
                "embeddings",
                "moderations",
                "images",
                "audio_speeches",
                "audio_transcriptions",
            )
        ),
    ),
)
"""Source: platform.openai.com/docs/api-reference/usage."""

ANTHROPIC: Final = ProviderApi(
    "Anthropic",
    "https://api.anthropic.com",
    "ANTHROPIC_ADMIN_API_KEY",
    {"anthropic-version": "2023-06-01"},
    ("x-api-key", ""),
    since="starting_at",
    until="ending_at",
    unix_time=False,
    reports=(
        Report(
            "/v1/organizations/cost_report",
            {"bucket_width": "1d", "limit": 31, "group_by[]": ["workspace_id", "description"]},
        ),
        Report(
            "/v1/organizations/usage_report/messages",
            {
                "bucket_width": "1d",
                "limit": 31,
                "group_by[]": ["workspace_id", "model", "service_tier"],
            },
        ),
    ),
)
"""Source: platform.claude.com/docs/en/api/admin/cost_report, .../usage_report/retrieve_messages."""


def fetched(
    api: ProviderApi, since: date, until: date, *, address: str | None = None
) -> Generator[tuple[str, Mapping[str, Any]]]:
    """The pages of all reports for these UTC days, `until` not included, each with where it is from.

    Raises `ProviderRefused`, `UnreadableBill`.
    """
    header, before = api.credential
    secret = os.environ.get(api.key)
    if not secret:
        raise ProviderRefused(
            f"no file is given, and {api.key} is not set to an administrator's key of {api.name}"
        )
    with httpx2.Client(
        base_url=address or api.address,
        headers={**api.headers, header: before + secret},
        timeout=TIMEOUT,
    ) as client:
        for report in api.reports:
            period = {api.since: _moment(since, api), api.until: _moment(until, api)}
            yield from _pages(client, api, report.path, {**report.query, **period})


def _moment(day: date, api: ProviderApi) -> str | int:
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return int(start.timestamp()) if api.unix_time else f"{start:%Y-%m-%dT%H:%M:%SZ}"


def _pages(
    client: httpx2.Client, api: ProviderApi, path: str, query: Query
) -> Generator[tuple[str, Mapping[str, Any]]]:
    asked = dict(query)
    for number in range(1, MAX_PAGES + 1):
        where = f"{api.name}'s answer to {path}, page {number}"
        page = as_object(_answer(client, path, asked, where))
        if page is None or not isinstance(page.get("data"), list):
            raise UnreadableBill(f"{where} has no list called data")
        yield where, page
        following = page.get("next_page")
        if not page.get("has_more") or not isinstance(following, str):
            return
        if following == asked.get("page"):
            raise UnreadableBill(f"{where} names itself as the next page")
        asked["page"] = following
    raise UnreadableBill(f"{api.name}'s answer to {path} has more than {MAX_PAGES} pages")


def _answer(client: httpx2.Client, path: str, query: Query, where: str) -> object:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            response = client.get(path, params=query)
        except httpx2.TransportError as error:
            if attempt == ATTEMPTS:
                raise ProviderRefused(f"{where} did not come: {error!r}") from error
            _wait(attempt, None)
            continue
        if response.is_success:
            return _parsed(response, where)
        if response.status_code not in PASSING or attempt == ATTEMPTS:
            raise ProviderRefused(f"{where} is the status {response.status_code}{_said(response)}")
        _wait(attempt, response.headers.get("retry-after"))
    raise AssertionError("the last attempt returns or raises")


def _parsed(response: httpx2.Response, where: str) -> object:
    if len(response.content) > MAX_BYTES:
        raise UnreadableBill(f"{where} is larger than {MAX_BYTES // 1024**2} MiB")
    try:
        return parsed(response.text)
    except (ValueError, RecursionError) as error:
        raise UnreadableBill(f"{where} is no JSON: {error}") from error


def _said(response: httpx2.Response) -> str:
    """What the provider says is wrong; both say it in the same place."""
    try:
        error = as_object((as_object(parsed(response.text)) or {}).get("error")) or {}
    except (ValueError, RecursionError):
        return ""
    message = error.get("message")
    return f": {message:.300}" if isinstance(message, str) else ""


def _wait(attempt: int, told: str | None) -> None:
    seconds = float(2 ** (attempt - 1))
    if told is not None and told.isascii() and told.isdigit():
        seconds = float(told)
    seconds = min(seconds, LONGEST_WAIT)
    logger.info("waiting %g s before asking the provider again", seconds)
    time.sleep(seconds)
