"""Heavy against normal: how the cost of tenants, or of one tenant's users, is spread."""

from decimal import Decimal
from importlib.resources import files
from typing import Final, Literal, NamedTuple

from psycopg import sql

from spanmeter.console.web.asked_period import AskedPeriod
from spanmeter.console.web.views import View
from spanmeter.storage import statements

_SQL: Final = statements.load_file(
    files("spanmeter.console.web").joinpath("sql", "concentration.sql")
)
_OF_DAYS: Final = statements.load_file(files("spanmeter.console.web").joinpath("sql", "usage.sql"))


class Concentration(NamedTuple):
    """Of the `names` that cost something: the usual and the heavy, and how many cause 80 % of the cost.

    `top_tenth` is the part of the cost, 0 to 1, that the heaviest tenth causes.
    """

    names: int
    median: Decimal | None
    ninth_decile: Decimal | None
    ninety_ninth: Decimal | None
    greatest: Decimal | None
    drive_most: int
    top_tenth: Decimal | None

    @property
    def heaviest_to_median(self) -> Decimal | None:
        """How many times the usual the heaviest costs."""
        return self.greatest / self.median if self.greatest and self.median else None


def concentration(
    view: View, of: Literal["tenant_id", "user_id"], period: AskedPeriod, currency: str
) -> Concentration:
    """How cost is spread over tenants, or over users of the view's tenant. Raises DatabaseUnavailable."""
    by_day = of == "tenant_id" and period.whole_days
    query = _SQL["concentration"].format(
        dimension=sql.Identifier(of),
        relation=sql.Identifier("usage_daily_by_tenant" if by_day else "ledger"),
        bounds=_OF_DAYS["since_day" if by_day else "since_time"],
    )
    values = {
        "since": period.since,
        "until": period.until,
        "first": period.since.date(),
        "end": period.until.date(),
        "currency": currency,
        "tenant": view.tenant,
    }
    row = view.connection.execute(query, values).fetchone()
    return (
        Concentration(0, None, None, None, None, 0, None)
        if row is None
        else Concentration._make(row)
    )
