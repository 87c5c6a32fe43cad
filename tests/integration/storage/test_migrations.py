"""Migrations: each applied once, whoever runs them and whatever they find."""

from __future__ import annotations

import uuid
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from psycopg.conninfo import make_conninfo

from booking import event, metered, query
from databases.editions import Edition
from databases.fixtures import NewDatabase
from spanmeter.metering.usage_event import UsageEvent
from spanmeter.storage.connection import connect
from spanmeter.storage.edition import CHUNK_SCHEMA, PARTITIONED, detect
from spanmeter.storage.errors import DatabaseUnavailable
from spanmeter.storage.ledger import LedgerWriter
from spanmeter.storage.migrations import SchemaOutOfDate, migrate, migrations, pending

NAMES = [migration.name for migration in migrations()]

# What a schema is made of; TimescaleDB's own trigger on a hypertable is no part of ours.
SCHEMA = """
SELECT 'column', attrelid::regclass::text, attname, format_type(atttypid, atttypmod),
    attnotnull::text, coalesce(pg_get_expr(adbin, adrelid), ''), col_description(attrelid, attnum)
FROM pg_attribute
    JOIN pg_class ON pg_class.oid = attrelid
    LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v') AND attnum > 0
UNION ALL
SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid), '', '', ''
FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype <> 'n'
UNION ALL
SELECT 'index', tablename, indexname, indexdef, '', '', ''
FROM pg_indexes WHERE schemaname = 'public'
UNION ALL
SELECT 'trigger', tgrelid::regclass::text, tgname, pg_get_triggerdef(pg_trigger.oid), '', '', ''
FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
WHERE relnamespace = 'public'::regnamespace AND tgname NOT LIKE 'ts_%' AND NOT tgisinternal
UNION ALL
SELECT 'view', viewname, definition, '', '', '', '' FROM pg_views WHERE schemaname = 'public'
ORDER BY 1, 2, 3, 4
"""


def test_every_migration_is_applied_once(empty_dsn: str) -> None:
    assert pending(empty_dsn) == NAMES
    assert migrate(empty_dsn) == NAMES
    assert pending(empty_dsn) == []
    assert migrate(empty_dsn) == []


def test_pending_changes_nothing(empty_dsn: str) -> None:
    pending(empty_dsn)
    assert query(empty_dsn, "SELECT to_regclass('spanmeter_migrations')") == [(None,)]


def test_processes_that_migrate_at_once_wait_for_each_other(empty_dsn: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        applied = list(pool.map(migrate, [empty_dsn] * 4))
    assert sorted(applied) == [[], [], [], NAMES]


def test_a_migration_that_fails_leaves_nothing_and_can_be_repeated(empty_dsn: str) -> None:
    """What was applied before it stays; what it did itself does not."""
    query(empty_dsn, "CREATE TABLE rejected_spans (mine text)")
    with pytest.raises(DatabaseUnavailable, match='relation "rejected_spans" already exists'):
        migrate(empty_dsn)
    query(empty_dsn, "DROP TABLE rejected_spans")
    assert migrate(empty_dsn) == NAMES[2:]


def test_an_applied_migration_may_not_change(dsn: str) -> None:
    query(dsn, "UPDATE spanmeter_migrations SET checksum = 'other' WHERE name = %s", NAMES[1])
    for run in (migrate, pending):
        with pytest.raises(SchemaOutOfDate, match=f"{NAMES[1]} was applied with another text"):
            run(dsn)


def test_a_database_of_a_newer_release_is_left_alone(dsn: str) -> None:
    query(dsn, "INSERT INTO spanmeter_migrations VALUES ('9999_later', 'unknown')")
    for run in (migrate, pending):
        with pytest.raises(SchemaOutOfDate, match=r"9999_later, which spanmeter .* does not know"):
            run(dsn)


def test_the_schema_is_the_same_on_every_edition(new_database: NewDatabase) -> None:
    assert query(new_database("timescale"), SCHEMA) == query(new_database("plain"), SCHEMA)


def test_the_columns_of_usage_events_are_the_fields_of_the_event(dsn: str) -> None:
    columns = query(
        dsn,
        "SELECT column_name FROM information_schema.columns WHERE table_name = 'usage_events'",
    )
    of_the_writer = {name for (name,) in columns if name.startswith("duplicate_of_")}
    of_the_database = {"ingested_at", "booked_in"}
    assert {name for (name,) in columns} == {*UsageEvent._fields, *of_the_database, *of_the_writer}


def test_every_name_a_user_can_query_says_what_it_is(dsn: str) -> None:
    undescribed = query(
        dsn,
        "SELECT relname, attname FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid"
        " WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v')"
        " AND relname <> 'spanmeter_migrations' AND attnum > 0"
        " AND (col_description(pg_class.oid, attnum) IS NULL"
        " OR obj_description(pg_class.oid) IS NULL)",
    )
    assert undescribed == []


def test_edition_tells_the_servers_apart(dsn: str, edition: Edition) -> None:
    with closing(connect(dsn)) as connection:
        found = detect(connection)
    if edition == "plain":
        assert (found.kind, found.timescaledb, found.hypertables) == ("plain", None, ())
    else:
        assert found.kind == ("community" if edition == "community" else "apache")
        assert found.timescaledb is not None
        assert found.hypertables == PARTITIONED


def test_chunks_lie_in_a_schema_of_their_own(timescale_dsn: str) -> None:
    with LedgerWriter(timescale_dsn) as writer:
        writer.write(metered(event()))
    chunks = query(
        timescale_dsn,
        "SELECT hypertable_name, chunk_schema FROM timescaledb_information.chunks",
    )
    assert chunks == [("usage_events", CHUNK_SCHEMA)]


def test_nobody_can_crash_the_server_with_merge_chunks(timescale_dsn: str) -> None:
    """TimescaleDB before 2.24 ends on a bad call of it, and grants it to everybody."""
    callable_by_all = query(
        timescale_dsn,
        "SELECT pg_proc.oid::regprocedure::text FROM pg_proc, pg_extension"
        " WHERE proname = 'merge_chunks' AND extname = 'timescaledb'"
        " AND extversion ~ '^2\\.(\\d|1\\d|2[0-3])\\.'"
        " AND has_function_privilege('public', pg_proc.oid, 'EXECUTE')",
    )
    assert callable_by_all == []


@pytest.fixture
def ordinary_role(new_database: NewDatabase) -> Generator[tuple[str, str]]:
    """An empty database on TimescaleDB: the superuser's DSN, and that of one who may make tables."""
    superuser = new_database("timescale", migrated=False)
    role = f"role_{uuid.uuid4().hex[:12]}"
    query(superuser, f"CREATE ROLE {role}")
    query(superuser, f"GRANT CREATE ON SCHEMA public TO {role}")
    yield superuser, make_conninfo(superuser, options=f"-c role={role}")
    query(superuser, f"DROP OWNED BY {role} CASCADE")
    query(superuser, f"DROP ROLE {role}")


def test_a_role_without_the_right_gets_plain_tables_and_hypertables_later(
    ordinary_role: tuple[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    """Rows that were booked meanwhile move into chunks, though the table is append-only."""
    superuser, dsn = ordinary_role
    assert migrate(dsn) == NAMES
    assert "this role may not create the extension" in caplog.text
    booked = event()
    with LedgerWriter(dsn) as writer:
        writer.write(metered(booked))
    assert _hypertables(dsn) == ()
    query(superuser, "CREATE EXTENSION timescaledb")
    query(superuser, f"CREATE SCHEMA {CHUNK_SCHEMA}; GRANT ALL ON SCHEMA {CHUNK_SCHEMA} TO PUBLIC")
    assert migrate(dsn) == []
    assert _hypertables(dsn) == PARTITIONED
    assert query(dsn, "SELECT span_id FROM usage_events") == [(booked.span_id,)]
    assert query(dsn, "SELECT sum(requests) FROM usage_daily") == [(1,)]
    with LedgerWriter(dsn) as writer:
        assert writer.write(metered(booked, event())).duplicates == 1


def test_who_may_not_protect_the_server_is_told_what_to_have_run(
    ordinary_role: tuple[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    superuser, dsn = ordinary_role
    query(superuser, "CREATE EXTENSION timescaledb")
    query(superuser, f"CREATE SCHEMA {CHUNK_SCHEMA}; GRANT ALL ON SCHEMA {CHUNK_SCHEMA} TO PUBLIC")
    migrate(dsn)
    asked_for = [record.args for record in caplog.records if "superuser" in record.message]
    for arguments in asked_for:
        assert isinstance(arguments, tuple)
        query(superuser, str(arguments[0]))
    caplog.clear()
    migrate(dsn)
    assert caplog.text == ""
    if query(superuser, "SELECT extversion LIKE '2.19.%' FROM pg_extension")[-1] == (True,):
        assert asked_for


def _hypertables(dsn: str) -> tuple[str, ...]:
    with closing(connect(dsn)) as connection:
        return detect(connection).hypertables
