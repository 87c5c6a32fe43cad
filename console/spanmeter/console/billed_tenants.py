"""Who gets a statement for a month."""

from datetime import date, timedelta

from spanmeter.metering.plans.billing_periods import following
from spanmeter.storage.closings import closings_of_month
from spanmeter.storage.connection import Connection
from spanmeter.storage.statement_usage import tenants_between
from spanmeter.storage.tenant_statements import Statements


def billed_tenants(connection: Connection, statements: Statements, month: date) -> set[str]:
    """Those that used something about then, had a plan of their own, or whose period before was closed."""
    # Periods may begin late in the month, and in a zone that is ahead the day before it.
    users = tenants_between(connection, month - timedelta(days=1), month + timedelta(days=62))
    book = statements.book()
    assigned = {
        each
        for each in book.tenants()
        if any(span.version for span in book.spans(each, *statements.period(each, month)[1:]))
    }
    return {*users, *assigned, *closings_of_month(connection, following(month, -1))}
