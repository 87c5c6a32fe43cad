"""A ledger of any earlier schema, with rows in it, is brought forward: every row stays, and counts the same."""

from __future__ import annotations

from contextlib import closing
from datetime import date, timedelta

import pytest

from booking import adjust, event, metered, query
from spanmeter.storage import migrations as schema
from spanmeter.storage.connection import connect
from spanmeter.storage.ledger import LedgerWriter
from spanmeter.storage.rollups import differences, fold

KNOWN = schema.migrations()

RATES = "0009"
EARLIER = [each.name for each in KNOWN if each.name >= "0005"][:-1]

# As the release of that schema wrote them: columns that came later are not named.
ROWS = """
INSERT INTO usage_events (
    time, trace_id, span_id, tenant_id, dimensions, provider, operation, byok, attempt, status, duration,
    input_tokens, audio_input_tokens, cache_write_by_ttl, output_tokens, quantities, usage_source, billable_state,
    billable_reason, cost, currency, rate_version, cost_quality, dialect, scope_name, scope_version
)
SELECT
    now() - number * interval '9 hours', substring(sha256(number::text::bytea) FOR 16),
    substring(sha256(number::text::bytea) FOR 8), CASE WHEN number % 7 > 0 THEN 'tenant ' || number % 7 END,
    '{}', 'openai', 'chat', false, 1, 'ok', interval '1 second', number,
    nullif(number % 3, 0), '{}', 1, CASE number % 4 WHEN 0 THEN '{"images": "2"}' ELSE '{}' END::jsonb,
    'provider', 'billable', 'paid',
    number * 0.000123456789, 'USD', 'of that day', 'exact', 'spanmeter', 'spanmeter.openai', '0.1.0'
FROM generate_series(1, 100) AS number
"""

SUMS = "SELECT tenant_id, sum(requests), sum(cost), sum(input_tokens) FROM {} GROUP BY 1 ORDER BY 1"
ROLLED_UP = ("usage_hourly", "usage_daily", "usage_daily_by_tenant", "usage_monthly")
FIRST, END = date.today() - timedelta(days=90), date.today() + timedelta(days=1)  # noqa: DTZ011


@pytest.mark.parametrize("name", EARLIER)
def test_what_was_booked_then_counts_the_same_now(
    empty_dsn: str, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with monkeypatch.context() as then:
        then.setattr(schema, "migrations", lambda: [each for each in KNOWN if each.name <= name])
        if name < RATES:
            # Releases without rates had none to record.
            then.setattr(schema, "record_installed", bool)
        schema.migrate(empty_dsn)
    query(empty_dsn, ROWS)
    adjust(empty_dsn, tenant_id="tenant 1", cost="-0.5")
    booked = query(empty_dsn, SUMS.format("ledger"))

    assert schema.migrate(empty_dsn) == [each.name for each in KNOWN if each.name > name]

    for view in ("ledger", *ROLLED_UP):
        assert query(empty_dsn, SUMS.format(view)) == booked, view
    with closing(connect(empty_dsn)) as connection:
        for _ in range(2):
            assert differences(connection, FIRST, END) == []
            fold(connection)
    assert query(empty_dsn, "SELECT count(*) FROM usage_events") == [(100,)]
    with LedgerWriter(empty_dsn) as writer:
        assert writer.write(metered(event(tenant_id="new"))).inserted == 1
    for view in ("ledger", *ROLLED_UP):
        assert query(empty_dsn, SUMS.format(view))[0][0] == "new"
