"""A tenant that reads the database sees its own rows alone, by whatever way it tries; each attempt is refused, and
logged by the server."""

from __future__ import annotations

import uuid
from collections.abc import Generator
from contextlib import closing
from decimal import Decimal

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from booking import adjust, event, metered, query
from spanmeter.storage.connection import connect
from spanmeter.storage.ledger import LedgerWriter
from spanmeter.storage.rejected import RejectedSpan
from spanmeter.storage.tenant_isolation import TenantsCanPeek, refuse_leaks

REFUSED = psycopg.errors.InsufficientPrivilege
OWN = (
    *("own_ledger", "own_usage_events", "own_adjustments", "own_usage_hourly", "own_usage_daily"),
    *("own_usage_monthly", "own_usage_hourly_quantities", "own_usage_daily_quantities"),
)

SEEN = "SELECT DISTINCT tenant_id FROM {}"


@pytest.fixture
def booked(dsn: str) -> str:
    """A ledger with rows of two tenants and of nobody."""
    with LedgerWriter(dsn) as writer:
        images = {"images": Decimal(1)}
        batch = metered(
            *(event(tenant_id=each, quantities=images) for each in ("acme", "mallory", None))
        )
        writer.write(batch, [RejectedSpan("reason", "detail", b"", b"", "acme", b"payload")])
    for tenant in ("acme", "mallory"):
        adjust(dsn, tenant_id=tenant)
    return dsn


@pytest.fixture
def login(booked: str) -> Generator[str]:
    """The DSN of a login of its own that is mallory's."""
    name = f"mallory_{uuid.uuid4().hex[:12]}"
    query(booked, f"CREATE ROLE {name} LOGIN IN ROLE spanmeter_tenant")
    query(booked, "INSERT INTO tenant_logins VALUES (%s, 'mallory')", name)
    yield make_conninfo(booked, user=name)
    query(booked, f"DROP OWNED BY {name}")
    query(booked, f"DROP ROLE {name}")


def holding(dsn: str) -> list[str]:
    """Every table, view and chunk that holds rows of tenants."""
    rows = query(
        dsn,
        "SELECT format('%I.%I', relnamespace::regnamespace, relname)"
        " FROM pg_class WHERE relkind IN ('r', 'v', 'm', 'p')"
        " AND relnamespace::regnamespace::text IN ('public', 'spanmeter_chunks')"
        " AND relname NOT LIKE 'own\\_%'"
        " AND relname NOT IN (SELECT relname FROM pg_depend JOIN pg_class AS theirs"
        "   ON objid = theirs.oid WHERE deptype = 'e' AND theirs.relname = pg_class.relname)",
    )
    return [name for (name,) in rows]


def test_a_tenants_login_sees_its_own_rows(login: str) -> None:
    for view in OWN:
        assert query(login, SEEN.format(view)) == [("mallory",)], view


def test_it_cannot_say_that_it_is_another(login: str) -> None:
    """The setting is for those who may read all of the ledger; from a tenant it is a claim."""
    claiming = make_conninfo(login, options="-c spanmeter.tenant=acme")
    for view in OWN:
        assert query(claiming, SEEN.format(view)) == [("mallory",)]


def test_it_reaches_no_table_view_or_chunk(login: str, booked: str) -> None:
    names = holding(booked)
    assert {"public.usage_events", "public.ledger", "public.usage_daily"} <= set(names)
    for name in names:
        with pytest.raises(REFUSED):
            query(login, f"TABLE {name}")


def test_it_cannot_change_anything(login: str) -> None:
    for change in (
        "INSERT INTO usage_events SELECT * FROM own_usage_events",
        "UPDATE own_usage_events SET cost = 0",
        "DELETE FROM own_ledger",
        "TRUNCATE usage_events",
        "UPDATE tenant_logins SET tenant_id = 'acme'",
        "INSERT INTO access_log DEFAULT VALUES",
        "SET ROLE spanmeter_reader",
        "SET ROLE spanmeter_writer",
    ):
        with pytest.raises((REFUSED, psycopg.errors.ObjectNotInPrerequisiteState)):
            query(login, change)


def test_a_leaky_function_of_its_own_is_shown_no_other_row(login: str, booked: str) -> None:
    """Views are security barriers: a condition is asked of a tenant's own rows only."""
    query(booked, "GRANT CREATE ON SCHEMA public TO PUBLIC")
    with psycopg.connect(login, autocommit=True) as connection:
        seen: list[str] = []
        connection.add_notice_handler(lambda said: seen.append(said.message_primary or ""))
        connection.execute(
            "CREATE FUNCTION pg_temp.peek(text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS"
            " $$ BEGIN RAISE NOTICE '%', $1; RETURN true; END $$"
        )
        connection.execute("SELECT * FROM own_usage_events WHERE pg_temp.peek(tenant_id)")
    assert set(seen) == {"mallory"}


def test_without_a_tenant_nothing_is_shown(booked: str) -> None:
    as_tenant = make_conninfo(booked, options="-c role=spanmeter_tenant")
    for view in OWN:
        with pytest.raises(REFUSED, match="no tenant's"):
            query(as_tenant, f"TABLE {view}")


def test_who_may_read_all_may_look_as_any_one_tenant(booked: str) -> None:
    """As a console does, for whom it serves."""
    options = "-c role=spanmeter_tenant -c spanmeter.tenant=acme"
    as_acme = make_conninfo(booked, options=options)
    for view in OWN:
        assert query(as_acme, SEEN.format(view)) == [("acme",)]


def leaks(dsn: str) -> str:
    with closing(connect(dsn)) as connection:
        try:
            refuse_leaks(connection)
        except TenantsCanPeek as leak:
            return str(leak)
    return ""


@pytest.mark.parametrize("role", [None, "spanmeter_writer", "spanmeter_reader"])
def test_the_self_test_finds_nothing_in_a_ledger_as_it_is_made(
    booked: str, login: str, role: str | None
) -> None:
    assert login
    assert leaks(make_conninfo(booked, options=f"-c role={role}") if role else booked) == ""


@pytest.mark.parametrize(
    ("mistake", "told"),
    [
        ("GRANT SELECT ON usage_events TO PUBLIC", "usage_events"),
        ("GRANT SELECT (tenant_id) ON adjustments TO spanmeter_tenant", "adjustments"),
        ("GRANT SELECT ON ledger TO spanmeter_tenant", "ledger"),
        ("GRANT SELECT ON rejected_spans TO PUBLIC", "rejected_spans"),
        (
            "CREATE VIEW mine AS SELECT cost FROM ledger; GRANT SELECT ON mine TO PUBLIC",
            "mine",
        ),
        ("GRANT DELETE ON adjustments TO PUBLIC", "adjustments"),
        ("CREATE OR REPLACE VIEW own_ledger AS SELECT * FROM ledger", "own_ledger"),
    ],
)
def test_the_self_test_finds_what_was_opened(booked: str, mistake: str, told: str) -> None:
    query(booked, mistake)
    assert told in leaks(booked)


def test_the_self_test_finds_an_opened_chunk(timescale_dsn: str) -> None:
    with LedgerWriter(timescale_dsn) as writer:
        writer.write(metered(event()))
    ((chunk,),) = query(timescale_dsn, "SELECT show_chunks('usage_events')::text")
    query(timescale_dsn, f"GRANT SELECT ON {chunk} TO PUBLIC")
    assert leaks(timescale_dsn) == ""  # nobody gets into the schema
    query(timescale_dsn, "GRANT USAGE ON SCHEMA spanmeter_chunks TO spanmeter_tenant")
    assert chunk in leaks(timescale_dsn)


def test_the_self_test_finds_a_tenants_login_that_may_read_all(booked: str, login: str) -> None:
    name = conninfo_to_dict(login)["user"]
    query(booked, f"GRANT spanmeter_reader TO {name}")
    assert f"the role {name} of a tenant can reach" in leaks(booked)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE usage_events SET cost = 0",
        "DELETE FROM usage_events",
        "TRUNCATE usage_events",
        "UPDATE adjustments SET cost = 0",
        "DELETE FROM adjustments",
        "ALTER TABLE usage_events DISABLE TRIGGER USER",
        "UPDATE api_keys SET tenants = NULL",
        "INSERT INTO api_keys DEFAULT VALUES",
        "DELETE FROM access_log",
        "INSERT INTO access_log (event) VALUES ('created')",
        "SELECT set_config('session_replication_role', 'replica', false)",
    ],
)
def test_a_collectors_login_adds_and_changes_nothing(booked: str, change: str) -> None:
    """A login of its own and not a superuser that plays its role."""
    name = f"collector_{uuid.uuid4().hex[:12]}"
    query(booked, f"CREATE ROLE {name} LOGIN IN ROLE spanmeter_writer")
    own = make_conninfo(booked, user=name)
    try:
        with LedgerWriter(own) as writer:
            assert writer.write(metered(event())).inserted == 1
        with pytest.raises(REFUSED):
            query(own, change)
    finally:
        query(booked, f"DROP ROLE {name}")


def test_a_keys_log_cannot_be_changed_by_its_owner_either(booked: str) -> None:
    query(booked, "INSERT INTO access_log (reason) VALUES ('missing')")
    for change in (
        "UPDATE access_log SET reason = ''",
        "DELETE FROM access_log",
        "TRUNCATE access_log",
    ):
        with pytest.raises(psycopg.errors.RestrictViolation, match="append-only"):
            query(booked, change)


def test_a_key_is_bound_to_what_it_was_made_with(booked: str) -> None:
    query(
        booked,
        "INSERT INTO api_keys (key_id, name, digest, scopes)"
        " VALUES ('smk_0123456789ab', 'app', sha256('x'), '{ingest}')",
    )
    for change in (
        "UPDATE api_keys SET digest = sha256('y')",
        "UPDATE api_keys SET scopes = '{admin}'",
        "DELETE FROM api_keys",
        "UPDATE api_keys SET revoked_at = now(); UPDATE api_keys SET revoked_at = NULL",
    ):
        with pytest.raises(psycopg.errors.RestrictViolation):
            query(booked, change)
    query(booked, "UPDATE api_keys SET tenants = '{acme}'")
    query(booked, "UPDATE api_keys SET last_used_at = now()")
    query(booked, "UPDATE api_keys SET revoked_at = now()")
    log = query(booked, "SELECT event, detail FROM access_log ORDER BY entry_id")
    assert log == [
        ("created", "scopes ingest; name app; tenants any"),
        ("changed", "tenants acme"),
        ("revoked", None),
    ]
