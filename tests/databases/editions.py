"""The editions of the database that everything must work on, and which server stands for each."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Literal

import psycopg

from databases import provision, shared
from databases.cluster import TIMESCALEDB_SETTINGS, Cluster
from databases.debian import CannotProvide
from databases.programs import ProgramFailed

Edition = Literal["timescale", "plain", "community"]

#: Editions that a server is started for where no variable names one.
LOCAL: tuple[Edition, ...] = ("timescale", "plain")

# Servers that somebody else runs, as URIs. Community comes only as a container image, so it is
# tested only where it is named here.
_NAMED_BY = {
    "timescale": "SPANMETER_TEST_DSN",
    "community": "SPANMETER_TEST_COMMUNITY_DSN",
}


def tested() -> tuple[Edition, ...]:
    """The editions that this run tests."""
    return (*LOCAL, "community") if named("community") else LOCAL


def named(edition: Edition) -> str | None:
    """The DSN that the environment names for *edition*."""
    return os.environ.get(_NAMED_BY.get(edition, "")) or None


def cluster(edition: Edition, name: str | None = None) -> Cluster:
    """A server of *edition* on this machine: the shared one, or one of the caller's own by *name*, on disk.

    Brings its programs here where they are absent, but starts nothing. Raises CannotProvide.
    """
    directory = provision.servers() / name if name else provision.servers_in_memory() / edition
    if edition == "plain":
        return Cluster(directory, provision.plain(), {})
    return Cluster(directory, provision.timescale(), TIMESCALEDB_SETTINGS)


def known_clusters() -> list[Cluster]:
    """Every server of this user that a test run made and did not remove."""
    places = {provision.servers(), provision.servers_in_memory()}
    found = sorted(data.parent for place in places for data in place.glob("*/data"))
    return [_cluster_in(directory) for directory in found]


def _cluster_in(directory: Path) -> Cluster:
    edition: Edition = "plain" if directory.name.endswith("plain") else "timescale"
    return replace(cluster(edition), directory=directory)


@contextmanager
def server(edition: Edition, name: str | None = None) -> Generator[str]:
    """The DSN of a running server of *edition*, for as long as the block lasts; see `cluster`."""
    if dsn := named(edition):
        yield dsn
    else:
        with shared.lease(cluster(edition, name)) as leased:
            yield leased.dsn()


def describe(edition: Edition) -> str:
    """Name the versions behind *edition*, or why it cannot be used; start and bring nothing."""
    try:
        if dsn := named(edition):
            return _describe_running(dsn)
        if edition != "plain" and provision.present_timescale() is None:
            return "comes to this machine with the first test that needs it"
        return cluster(edition).programs.version(provision.servers())
    except (CannotProvide, ProgramFailed, psycopg.OperationalError) as error:
        return f"cannot be used: {error}"


def _describe_running(dsn: str) -> str:
    with psycopg.connect(dsn, connect_timeout=5) as connection:
        row = connection.execute(
            "SELECT current_setting('server_version'), default_version"
            " FROM (VALUES ('timescaledb')) AS wanted (name)"
            " LEFT JOIN pg_available_extensions USING (name)"
        ).fetchone()
    assert row is not None
    return f"PostgreSQL {row[0]} with TimescaleDB {row[1]}"
