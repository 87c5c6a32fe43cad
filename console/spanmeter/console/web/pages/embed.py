"""A tenant's own page: what it used, in its words, to be embedded where the tenant works."""

from decimal import Decimal
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, PlainTextResponse, Response

from spanmeter.console.web.actions import ActionRow
from spanmeter.console.web.api.margin import MonthAsked
from spanmeter.console.web.asked_period import Asked, AskedPeriod, asked_period
from spanmeter.console.web.breakdown import Chart, Series, lines
from spanmeter.console.web.csv_files import csv_file
from spanmeter.console.web.details import DetailsAsked
from spanmeter.console.web.embedding import (
    OwnLimits,
    OwnStatement,
    OwnStatements,
    TenantsView,
    TheServices,
)
from spanmeter.console.web.pages.statements import lines_csv
from spanmeter.console.web.problems import Problem
from spanmeter.console.web.rendering import page
from spanmeter.console.web.settings import colour
from spanmeter.console.web.sheet import Sheet, total_before
from spanmeter.console.web.usage_sums import UsageAsked, UsageRow, usage_sums
from spanmeter.console.web.views import View

router = APIRouter()

Theme = Annotated[str, Query(pattern="^(auto|light|dark)$")]
Accent = Annotated[str | None, Query(max_length=7)]

_MONTHS: Final = 12
_ALL: Final = 100_000
_NAMES: Final = 6


@router.get("/embed")
def tenants_page(
    request: Request,
    services: TheServices,
    limits: OwnLimits,
    statement: OwnStatement,
    view: TenantsView,
    asked: Asked,
    theme: Theme = "auto",
    accent: Accent = None,
) -> Response:
    """What the tenant used, what is left of its limits, and what it owes."""
    sheet = Sheet.read(view, "feature", asked)
    now, before = sheet.totals(), sheet.before()
    known = services.details.at_once(
        DetailsAsked(view.tenant or "", own=True, period=asked, currency=now.currency)
    )
    done = [] if known is None else known.actions
    return page(
        request,
        "embed.html",
        view=view,
        asked=asked,
        settings=services.settings,
        theme=theme,
        accent=_accent(accent) or services.settings.accent,
        totals=now,
        before=total_before(sheet, before),
        trend=sheet.trend(),
        actions=_by_name(done),
        counting=known is None,
        chart=_of_actions(done, asked) if done else sheet.chart(),
        features=sheet.lines(),
        models=lines(view, "model", asked, now.currency) if view.models else [],
        history=_months(view, now.currency),
        limits=limits,
        statement=statement.told,
        working=statement.working,
    )


@router.get("/embed/usage.csv")
def tenants_csv(view: TenantsView, asked: Asked) -> Response:
    """The tenant's usage by day and feature."""
    rows = usage_sums(view, UsageAsked(("day", "feature"), asked, limit=_ALL))
    names = ["day", "feature", "requests", "input_tokens", "output_tokens"]
    cells: list[list[object]] = [
        [
            *(row.dimensions["day"], row.dimensions["feature"], row.requests),
            *(row.input_tokens, row.output_tokens),
            *([row.cost, row.currency] if view.cost else []),
        ]
        for row in rows
    ]
    return csv_file("usage.csv", [*names, *(["cost", "currency"] if view.cost else [])], cells)


@router.get("/embed/statement.csv")
def statement_csv(kept: OwnStatements, month: MonthAsked = None) -> Response:
    """The lines of its statement."""
    return lines_csv(kept.told(month))


@router.get("/embed/theme.css")
def theme_css(accent: Accent = None) -> Response:
    """The accent that a page is dressed in: a file, since a page may have no style of its own."""
    chosen = _accent(accent)
    rules = f":root {{ --accent-given: {chosen}; }}\n" if chosen else ""
    return PlainTextResponse(
        rules, media_type="text/css", headers={"Cache-Control": "max-age=3600"}
    )


@router.get("/embed/logo")
def logo(services: TheServices) -> Response:
    """The logo of the settings."""
    if services.settings.logo is None:
        raise Problem.not_found("there is no logo")
    return FileResponse(services.settings.logo, headers={"Cache-Control": "max-age=3600"})


def _accent(text: str | None) -> str | None:
    try:
        return None if not text else colour(text)
    except ValueError as error:
        raise Problem.meaningless(str(error)) from error


def _by_name(done: list[ActionRow]) -> list[tuple[str, int, int]]:
    """Actions of all days: name, done, failed; the most frequent first."""
    sums: dict[str, list[int]] = {}
    for row in done:
        counted = sums.setdefault(row.name, [0, 0])
        counted[0] += row.done
        counted[1] += row.failed
    told = [(name, counts[0], counts[1]) for name, counts in sums.items()]
    return sorted(told, key=lambda each: (-each[1], each[0]))


def _of_actions(done: list[ActionRow], asked: AskedPeriod) -> Chart:
    names = [name for name, *_ in _by_name(done)][:_NAMES]
    days = [f"{each:%Y-%m-%d}" for each in asked.days]
    counts: dict[tuple[str, str], int] = {}
    for row in done:
        if row.day is not None:
            at = row.name, f"{row.day:%Y-%m-%d}"
            counts[at] = counts.get(at, 0) + row.done
    series = [Series(name, [Decimal(counts.get((name, at), 0)) for at in days]) for name in names]
    return Chart(days, series, "actions", money=False)


def _months(view: View, currency: str) -> list[UsageRow]:
    """The last twelve months, the latest first."""
    today = asked_period("today")
    year, month = divmod(today.since.year * 12 + today.since.month - _MONTHS, 12)
    period = AskedPeriod(today.since.replace(year=year, month=month + 1, day=1), today.until)
    rows = usage_sums(view, UsageAsked(("month",), period, limit=_ALL))
    return [row for row in reversed(rows) if row.currency == currency]
