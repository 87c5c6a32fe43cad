"""How the ledger is: what it took lately, and what is wrong with it."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from spanmeter.storage.connection import Connection
from spanmeter.storage.edition import detect
from spanmeter.storage.recent import Gaps, RecentUsage, recent_gaps, recent_rejected, recent_usage

_LOOKED_BACK = timedelta(days=1)


class Health(NamedTuple):
    """Of the last 24 hours: rows, spans rejected and still open by reason, and what producers say is missing."""

    edition: str
    postgres: str
    timescaledb: str | None
    usage: RecentUsage
    rejected: Mapping[str, int]
    gaps: Gaps

    @property
    def troubles(self) -> list[str]:
        """What somebody should look at, in words."""
        told = (
            (sum(self.rejected.values()), "rejected span", "rejected spans"),
            (
                self.gaps.missing,
                "record that an app sent and that did not arrive",
                "records that apps sent and that did not arrive",
            ),
            (self.usage.unpriced, "request without a known rate", "requests without a known rate"),
            (self.usage.unattributed, "request without a tenant", "requests without a tenant"),
        )
        return [f"{count:,} {one if count == 1 else more}" for count, one, more in told if count]


def read_health(connection: Connection) -> Health:
    """How it is by now. Raises DatabaseUnavailable."""
    since = datetime.now(UTC) - _LOOKED_BACK
    found = detect(connection)
    rejected = {each.reason: each.open for each in recent_rejected(connection, since) if each.open}
    return Health(
        found.kind,
        found.postgres,
        found.timescaledb,
        recent_usage(connection, since),
        rejected,
        recent_gaps(connection, since),
    )
