"""The test servers themselves: what every other test on a database rests on."""

from __future__ import annotations

import uuid
from collections.abc import Generator

import psycopg
import pytest

from databases import editions, shared
from databases.cluster import Cluster
from databases.editions import Edition
from databases.fixtures import Databases, NewDatabase
from databases.templates import ensure_template, fresh_database


@pytest.fixture
def own_plain() -> Generator[Cluster]:
    """A plain server that nobody else knows, not started."""
    server = editions.cluster("plain", f"own-{uuid.uuid4().hex[:8]}")
    yield server
    shared.release(server)
    shared.forget(server)


def test_each_edition_is_what_it_says(edition: Edition, empty_dsn: str) -> None:
    """TimescaleDB can be created where it should be, and is absent from plain PostgreSQL."""
    available = "SELECT count(*) FROM pg_available_extensions WHERE name = 'timescaledb'"
    with psycopg.connect(empty_dsn) as connection:
        row = connection.execute(available).fetchone()
        assert row == (0 if edition == "plain" else 1,)
        if edition != "plain":
            connection.execute("CREATE EXTENSION timescaledb")


def test_a_server_flushes_what_it_commits(empty_dsn: str) -> None:
    """A test of durability proves nothing on a server that skips the flush."""
    with psycopg.connect(empty_dsn) as connection:
        settings = [
            connection.execute(f"SHOW {name}").fetchone()
            for name in ("fsync", "full_page_writes", "synchronous_commit")
        ]
    assert settings == [("on",), ("on",), ("on",)]


def test_a_database_is_a_copy_of_its_template(databases: Databases, edition: Edition) -> None:
    """What one test writes, the next does not see."""
    server = databases.server(edition)

    def prepare(dsn: str) -> None:
        with psycopg.connect(dsn) as connection:
            connection.execute("CREATE TABLE notes (note text)")

    template = ensure_template(server, "of_notes", prepare)
    for _ in range(2):
        with fresh_database(server, template) as dsn, psycopg.connect(dsn) as connection:
            assert connection.execute("SELECT note FROM notes").fetchall() == []
            connection.execute("INSERT INTO notes VALUES ('written')")


def test_a_half_made_template_is_made_again(own_plain: Cluster) -> None:
    """A run that fails while it migrates leaves no template behind that others would copy."""

    def fail(dsn: str) -> None:
        raise RuntimeError(dsn)

    prepared: list[str] = []
    with shared.lease(own_plain) as server:
        with pytest.raises(RuntimeError):
            ensure_template(server.dsn(), "half_made", fail)
        ensure_template(server.dsn(), "half_made", prepared.append)
        ensure_template(server.dsn(), "half_made", prepared.append)
    assert len(prepared) == 1


def test_databases_of_one_test_differ(new_database: NewDatabase) -> None:
    first = new_database("plain", migrated=False)
    second = new_database("plain", migrated=False)
    assert first != second


def test_a_killed_server_keeps_what_was_committed(own_timescale: Cluster) -> None:
    with psycopg.connect(own_timescale.dsn()) as connection:
        connection.execute("CREATE TABLE notes AS SELECT 'committed' AS note")
    own_timescale.kill()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(own_timescale.dsn())
    own_timescale.start()
    with psycopg.connect(own_timescale.dsn()) as connection:
        assert connection.execute("SELECT note FROM notes").fetchall() == [("committed",)]


def test_the_last_user_stops_the_server(own_timescale: Cluster) -> None:
    """A second run on the same server does not lose it when the first one ends."""
    assert not shared.release(own_timescale)
    with shared.lease(own_timescale):
        pass
    assert own_timescale.is_running


def test_a_server_left_by_a_killed_run_is_used_and_then_stopped(own_plain: Cluster) -> None:
    own_plain.create()
    own_plain.start()
    left = own_plain.dsn()
    with shared.lease(own_plain) as leased, psycopg.connect(left):
        assert leased.dsn() == left
    assert not own_plain.is_running


def test_a_kept_server_stays_until_it_is_released(own_plain: Cluster) -> None:
    shared.keep(own_plain)
    with shared.lease(own_plain):
        pass
    assert own_plain.is_running
    assert shared.release(own_plain)
    assert not own_plain.is_running
