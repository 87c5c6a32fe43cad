"""The writer when the database is away, slow, full, cut off or badly set up."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import closing
from datetime import timedelta

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from booking import NOON, event, metered, query
from databases.cluster import Cluster
from spanmeter.storage.errors import DatabaseUnavailable, SchemaOutOfDate, StorageError
from spanmeter.storage.ledger import LedgerWriter
from spanmeter.storage.metered import Metered
from spanmeter.storage.migrations import migrate
from spanmeter.storage.session import WriterSession

SECOND = timedelta(seconds=1)
COUNT = "SELECT count(*) FROM usage_events"


def test_a_server_that_is_not_there_is_unavailable() -> None:
    writer = LedgerWriter("postgresql://user:secret@127.0.0.1:1/nowhere")
    with pytest.raises(DatabaseUnavailable, match="Connection refused") as raised:
        writer.write(metered(event()))
    assert "secret" not in str(raised.value)


def test_a_malformed_dsn_is_not_quoted() -> None:
    writer = LedgerWriter("postgresql//user:secret@127.0.0.1/ledger")
    with pytest.raises(StorageError, match="the DSN is malformed") as raised:
        writer.write(metered(event()))
    assert "secret" not in str(raised.value)
    assert not isinstance(raised.value, DatabaseUnavailable)


def test_a_database_without_the_schema_names_the_command(empty_dsn: str) -> None:
    """And the same writer writes once the schema is there."""
    with LedgerWriter(empty_dsn) as writer:
        with pytest.raises(SchemaOutOfDate, match="run `spanmeter db migrate`"):
            writer.write(metered(event()))
        migrate(empty_dsn)
        assert writer.write(metered(event())).inserted == 1


def test_a_connection_cut_between_writes_is_not_noticed(dsn: str) -> None:
    with LedgerWriter(make_conninfo(dsn, application_name="cut me")) as writer:
        writer.write(metered(event()))
        cut = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        assert query(dsn, f"{cut} WHERE application_name = 'cut me'") == [(True,)]
        assert writer.write(metered(event())).inserted == 1


@pytest.mark.parametrize("limit", ["lock_timeout", "statement_timeout"])
def test_a_table_that_somebody_locks_is_unavailable_in_time(dsn: str, limit: str) -> None:
    limits = {"lock_timeout": 60 * SECOND, "statement_timeout": 60 * SECOND, limit: SECOND / 10}
    with LedgerWriter(dsn, **limits) as writer:
        writer.write(metered(event()))
        with psycopg.connect(dsn) as blocker:
            blocker.execute("LOCK TABLE usage_events IN ACCESS EXCLUSIVE MODE")
            begun = time.monotonic()
            with pytest.raises(DatabaseUnavailable, match="canceling statement due to"):
                writer.write(metered(event()))
            assert time.monotonic() - begun < 5
        assert writer.write(metered(event())).inserted == 1


def test_a_read_only_server_is_unavailable_until_it_is_not(dsn: str) -> None:
    """As a standby is, until it is promoted."""
    ((database,),) = query(dsn, "SELECT current_database()")
    with LedgerWriter(dsn) as writer:
        query(dsn, f"ALTER DATABASE {database} SET default_transaction_read_only = on")
        with pytest.raises(DatabaseUnavailable, match="read-only transaction"):
            writer.write(metered(event()))
        promoted = make_conninfo(dsn, options="-c default_transaction_read_only=off")
        query(promoted, f"ALTER DATABASE {database} RESET ALL")
        assert writer.write(metered(event())).inserted == 1


@pytest.mark.parametrize(
    ("configured", "used"), [("off", "on"), ("local", "on"), ("remote_apply", "remote_apply")]
)
def test_fault_04_a_commit_is_durable_whatever_the_default(
    dsn: str, configured: str, used: str
) -> None:
    weak = make_conninfo(dsn, options=f"-c synchronous_commit={configured}")
    session = WriterSession(weak, statement_timeout=SECOND, lock_timeout=SECOND)
    with closing(session.connection) as connection:
        assert connection.execute("SHOW synchronous_commit").fetchone() == (used,)


def test_fault_04_a_server_that_does_not_flush_is_told_once(
    own_timescale: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    dsn = own_timescale.dsn()
    migrate(dsn)
    query(dsn, "ALTER SYSTEM SET fsync = off")
    query(dsn, "SELECT pg_reload_conf()")
    while query(dsn, "SHOW fsync") != [("off",)]:
        time.sleep(0.05)
    with caplog.at_level(logging.WARNING), LedgerWriter(dsn) as writer:
        for _ in range(2):
            writer.write(metered(event()))
            writer.close()
    assert caplog.text.count("runs with fsync off") == 1


def test_more_chunks_than_one_transaction_can_lock_are_still_booked(
    own_timescale: Cluster,
) -> None:
    """Every week is a chunk, and every chunk takes locks out of a table of fixed size."""
    dsn = own_timescale.dsn()
    migrate(dsn)
    query(dsn, "ALTER SYSTEM SET max_locks_per_transaction = 10")
    query(dsn, "ALTER SYSTEM SET max_connections = 10")
    own_timescale.stop()
    own_timescale.start()
    with pytest.raises(psycopg.errors.OutOfMemory):
        query(
            dsn,
            "INSERT INTO adjustments (time, adjustment_id, reason, provider, operation,"
            " billable_state, billable_reason, currency)"
            " SELECT now() - week * interval '1 week', gen_random_uuid(), 'test', '', '',"
            " 'billable', '', 'USD' FROM generate_series(1, 120) AS week",
        )
    batch = metered(*(event(time=NOON - timedelta(weeks=n)) for n in range(120)))
    with LedgerWriter(dsn) as writer:
        written = writer.write(batch)
    assert (written.inserted, written.refused) == (len(batch), ())


def test_a_server_killed_while_it_writes_loses_nothing_that_was_reported(
    own_timescale: Cluster,
) -> None:
    """And the same writer goes on when the server is back."""
    dsn = own_timescale.dsn()
    migrate(dsn)
    killer = threading.Timer(1, own_timescale.kill)
    with LedgerWriter(dsn) as writer:
        killer.start()
        reported, in_doubt = write_until_unavailable(writer)
        killer.join()
        with pytest.raises(DatabaseUnavailable):
            writer.write(in_doubt)
        own_timescale.start()
        again = writer.write(in_doubt)
    # It may have been committed before the answer was cut off.
    assert again.inserted in (0, len(in_doubt))
    assert query(dsn, COUNT) == [(reported + len(in_doubt),)]
    assert reported > 0


def write_until_unavailable(writer: LedgerWriter) -> tuple[int, list[Metered]]:
    """How many rows were reported as booked, and the batch that was not."""
    reported = 0
    while True:
        batch = metered(*(event() for _ in range(200)))
        try:
            reported += writer.write(batch).inserted
        except DatabaseUnavailable:
            return reported, batch


def test_what_is_left_of_a_refused_batch_is_durable_when_it_is_reported(
    own_timescale: Cluster,
) -> None:
    """Its parts are committed without waiting for the disk, and the last commit waits for all of them: also where the
    refused row is known, so that there is nothing else to write."""
    dsn = own_timescale.dsn()
    migrate(dsn)
    query(dsn, "ALTER SYSTEM SET wal_writer_delay = '10s'")
    query(dsn, "SELECT pg_reload_conf()")
    (refused,) = metered(event(tenant_id=""))
    with LedgerWriter(dsn) as writer:
        for booked in (20, 40):
            written = writer.write([*metered(*(event() for _ in range(20))), refused])
            own_timescale.kill()
            own_timescale.start()
            assert (written.inserted, len(written.refused)) == (20, 1)
            assert query(dsn, COUNT) == [(booked,)]
