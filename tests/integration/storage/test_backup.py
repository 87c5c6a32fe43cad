"""A dump restored into a new database is the same ledger, and goes on: as docs/operating.md says to do it."""

from __future__ import annotations

import uuid
from collections.abc import Generator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from booking import adjust, event, metered, query
from databases import editions
from databases.cluster import Cluster
from databases.editions import Edition
from databases.fixtures import NewDatabase
from spanmeter.storage.connection import connect
from spanmeter.storage.ledger import LedgerWriter
from spanmeter.storage.migrations import migrate, pending
from spanmeter.storage.seals import seal
from spanmeter.storage.tenant_isolation import refuse_leaks

SAME = (
    "SELECT count(*), sum(requests), sum(cost), sum(input_tokens) FROM ledger",
    "SELECT day, tenant_id, sum(requests), sum(cost) FROM usage_daily GROUP BY 1, 2 ORDER BY 1, 2",
    "SELECT number, digest FROM seals ORDER BY number",
    "SELECT key_id, digest FROM api_keys ORDER BY 1",
    "SELECT name, checksum FROM spanmeter_migrations ORDER BY 1",
)
# What a hash over the rows themselves says, as seals take it.
ROWS = (
    "SELECT sha256(string_agg(record_send(ROW(time, trace_id, span_id, cost)), '' ORDER BY span_id))"
    " FROM usage_events"
)


@pytest.fixture
def server(edition: Edition, new_database: NewDatabase) -> Cluster:
    """The server of the edition, on this machine: its programs make the dump."""
    if editions.named(edition) is not None:
        pytest.skip("the server is named, and its programs are not here")
    new_database(edition)
    return editions.cluster(edition)


@pytest.fixture
def place(server: Cluster) -> Generator[Path]:
    """A file that the server's programs can reach."""
    path = server.directory / f"dump-{uuid.uuid4().hex[:8]}"
    yield path
    path.unlink(missing_ok=True)


def book(dsn: str) -> None:
    with LedgerWriter(dsn) as writer:
        writer.write(metered(*(event(tenant_id=each) for each in ("acme", "bolt", None) * 20)))
    adjust(dsn)
    with closing(connect(dsn)) as connection:
        seal(connection, datetime.now(UTC))
    query(
        dsn,
        "INSERT INTO api_keys (key_id, name, digest, scopes)"
        " VALUES ('smk_0123456789ab', 'app', sha256('x'), '{ingest}')",
    )
    with LedgerWriter(dsn) as writer:
        writer.write(metered(event(tenant_id="late")))


def restore(server: Cluster, dump: Path, dsn: str, *, timescale: bool) -> None:
    """The steps of docs/operating.md."""
    if timescale:
        query(dsn, "CREATE EXTENSION timescaledb")
        query(dsn, "SELECT timescaledb_pre_restore()")
    command = ("--dbname", dsn, "--exit-on-error", str(dump))
    server.programs.run("pg_restore", *command, state=server.directory)
    if timescale:
        query(dsn, "SELECT timescaledb_post_restore()")


@pytest.mark.timeout(300)
def test_a_restored_ledger_is_the_same_and_goes_on(
    edition: Edition, new_database: NewDatabase, server: Cluster, place: Path
) -> None:
    source, target = new_database(edition), new_database(edition, migrated=False)
    book(source)
    dump = ("--format", "custom", "--file", str(place), "--dbname", source)
    server.programs.run("pg_dump", *dump, state=server.directory)
    restore(server, place, target, timescale=edition != "plain")

    assert pending(target) == migrate(target) == []
    for question in (*SAME, ROWS):
        assert query(target, question) == query(source, question), question
    assert query(target, "SELECT count(*) FROM usage_events") == [(61,)]

    known = event()
    with LedgerWriter(target) as writer:
        assert writer.write(metered(known)).inserted == 1
        assert writer.write(metered(known)).duplicates == 1
    assert query(target, "SELECT sum(requests) FROM usage_daily") == query(
        target, "SELECT sum(requests) FROM ledger"
    )
    with pytest.raises(psycopg.errors.RestrictViolation):
        query(target, "DELETE FROM usage_events")
    with closing(connect(target)) as connection:
        refuse_leaks(connection)
        assert seal(connection, datetime.now(UTC))
