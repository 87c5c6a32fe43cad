"""Templates to pages: every value is escaped, and a name that a template lacks is an error."""

from datetime import UTC, datetime
from functools import cache
from http import HTTPStatus
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlencode

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from spanmeter.console.web import formats
from spanmeter.console.web.static_files import address_of


class Link(NamedTuple):
    """An entry of the navigation."""

    address: str
    name: str
    icon: str


NAVIGATION: Final = (
    Link("/", "Overview", "overview"),
    Link("/tenants", "Tenants", "tenants"),
    Link("/margin", "Margin", "margin"),
    Link("/by/feature", "Features", "features"),
    Link("/by/model", "Models", "models"),
    Link("/quality", "Quality", "quality"),
    Link("/budgets", "Budgets", "budgets"),
    Link("/alerts", "Alerts", "alerts"),
    Link("/unattributed", "Unattributed", "unattributed"),
    Link("/events", "Events", "events"),
    Link("/reconciliations", "Reconciliation", "reconciliation"),
    Link("/plans", "Plans", "plans"),
    Link("/rates", "Rates", "rates"),
    Link("/rules", "Rules", "rules"),
    Link("/keys", "Keys", "keys"),
    Link("/health", "Health", "health"),
)
"""A new page of the operator's is one module in `pages`, one template, and one line here."""

PERIODS: Final = (
    ("today", "Today"),
    ("7d", "7 days"),
    ("30d", "30 days"),
    ("90d", "90 days"),
    ("month", "This month"),
)


_FILTERS: Final = (
    *("money", "number", "compact", "percent", "growth", "change", "moment", "day", "short_day"),
    *("day_before", "second", "ago", "words", "polyline", "area", "quantity", "short_quantity"),
    *("month", "month_number", "moment_of", "decimal"),
)


def page(
    request: Request, template: str, status: HTTPStatus = HTTPStatus.OK, **values: Any
) -> HTMLResponse:
    """The page that a template makes of these values."""
    told = {
        "path": request.url.path,
        "query": dict(request.query_params),
        "now": datetime.now(UTC),
        "static": address_of,
        "navigation": NAVIGATION,
        "periods": PERIODS,
        "with_query": with_query,
        **values,
    }
    return HTMLResponse(_environment().get_template(template).render(told), status)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("spanmeter.console.web"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update({name: getattr(formats, name) for name in _FILTERS})
    environment.filters["path_part"] = lambda text: quote(str(text), safe="")
    return environment


def with_query(path: str, query: dict[str, str], **changed: object) -> str:
    """The address with some parameters changed; None leaves one out. What stands on another page begins anew."""
    kept = {name: value for name, value in query.items() if name != "cursor"} | changed
    told = {name: str(value) for name, value in kept.items() if value is not None}
    return f"{path}?{urlencode(told)}" if told else path
