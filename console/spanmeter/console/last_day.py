"""What the last day brought: how much was booked, and how much of it without a cost or a tenant."""

from datetime import UTC, datetime, timedelta
from typing import Final

from spanmeter.console.listing import Value
from spanmeter.storage.connection import Connection
from spanmeter.storage.recent import RecentRejected, recent_rejected, recent_usage

DAY: Final = timedelta(days=1)


def last_day(connection: Connection) -> dict[str, Value]:
    """Of the calls that began in it: rows, further descriptions of calls, shares in percent; and what was rejected."""
    since = datetime.now(UTC) - DAY
    usage = recent_usage(connection, since)
    counted = usage.rows - usage.same_call
    rejected = ", ".join(map(_in_words, recent_rejected(connection, since)))
    return {
        "rows_last_day": usage.rows,
        "same_call_last_day": usage.same_call,
        "unpriced_last_day": usage.unpriced,
        "unpriced_percent_last_day": _percent(usage.unpriced, counted),
        "unattributed_last_day": usage.unattributed,
        "unattributed_percent_last_day": _percent(usage.unattributed, counted),
        "rejected_last_day": rejected or None,
    }


def _percent(part: int, whole: int) -> str | None:
    return f"{100 * part / whole:.2f}" if whole else None


def _in_words(rejected: RecentRejected) -> str:
    redriven = f" ({rejected.redriven} redriven)" if rejected.redriven else ""
    return f"{rejected.open + rejected.redriven} {rejected.reason}{redriven}"
