"""The two roles a login can be granted: one may only add, one may only read."""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

import calls_described
from booking import NOON, adjust, event, metered, query
from spanmeter.storage.calls import forget_calls
from spanmeter.storage.ledger import LedgerWriter
from spanmeter.storage.migrations import pending
from spanmeter.storage.producers import Producer
from spanmeter.storage.rejected import RejectedSpan

REFUSED = psycopg.errors.InsufficientPrivilege


def as_role(dsn: str, role: str) -> str:
    return make_conninfo(dsn, options=f"-c role={role}")


def test_the_writer_adds_and_does_no_more(dsn: str) -> None:
    """It sees what is booked, to compare it with what arrives again and to seal it, and no rejected span."""
    own = as_role(dsn, "spanmeter_writer")
    batch = metered(event(), event(feature="\0"))
    with LedgerWriter(own) as writer:
        rejected = [RejectedSpan("reason", "detail", b"", b"", None, b"payload")]
        assert writer.write(batch, rejected).rejected == 2
        assert writer.write(batch, rejected).duplicates == 1
    adjust(own)
    assert pending(own) == []
    for reading in ("ledger", "rejected_spans"):
        with pytest.raises(REFUSED):
            query(own, f"TABLE {reading}")
    for change in (
        "UPDATE usage_events SET cost = 0",
        "DELETE FROM rejected_spans",
        "UPDATE provider_calls SET time = now()",
    ):
        with pytest.raises(REFUSED):
            query(own, change)


def test_the_writer_sees_to_it_that_a_call_counts_once(dsn: str) -> None:
    with LedgerWriter(as_role(dsn, "spanmeter_writer")) as writer:
        for each in calls_described.a_chain().spans[::-1]:
            writer.write(metered(each), producers={"p": Producer("answers", 0, [1])})
        known = event()
        writer.write(metered(known))
        assert writer.write(metered(known._replace(input_tokens=5000))).refused
    assert query(dsn, "SELECT sum(requests) FROM ledger") == [(2,)]
    with psycopg.connect(as_role(dsn, "spanmeter_writer")) as connection:
        assert forget_calls(connection, NOON + timedelta(days=1)) == 4


def test_the_reader_reads_and_does_no_more(dsn: str) -> None:
    own = as_role(dsn, "spanmeter_reader")
    with LedgerWriter(dsn) as writer:
        writer.write(metered(event(tenant_id=None)))
    for name in ("usage_events", "ledger", "usage_hourly", "usage_daily", "unattributed_usage"):
        assert len(query(own, f"TABLE {name}")) == 1
    assert pending(own) == []
    for change in ("INSERT INTO usage_events DEFAULT VALUES", "DELETE FROM usage_events"):
        with pytest.raises(REFUSED):
            query(own, change)


@pytest.mark.parametrize("role", ["spanmeter_writer", "spanmeter_reader"])
@pytest.mark.parametrize("access", ["SELECT span_id FROM {}", "INSERT INTO {} DEFAULT VALUES"])
def test_no_role_reaches_a_chunk(timescale_dsn: str, role: str, access: str) -> None:
    """Grants reach chunks but row-level security does not, so their schema is closed."""
    with LedgerWriter(as_role(timescale_dsn, "spanmeter_writer")) as writer:
        writer.write(metered(event()))
    ((chunk,),) = query(timescale_dsn, "SELECT show_chunks('usage_events')::text")
    with pytest.raises(REFUSED, match="schema spanmeter_chunks"):
        query(as_role(timescale_dsn, role), access.format(chunk))
