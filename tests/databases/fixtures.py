"""pytest plugin: `dsn` runs a test on every edition, `timescale_dsn` and `plain_dsn` on one.

Each is a migrated database of the test's own, `empty_dsn` one that is not migrated yet.
`own_timescale` is a whole server that the test may stop and kill.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest

import spanmeter.storage
from databases import editions, shared
from databases.cluster import Cluster
from databases.editions import Edition
from databases.templates import ensure_template, fresh_database


class Databases:
    """Databases on the servers of this run; a server starts when it is first asked for one."""

    def __init__(self, servers: ExitStack) -> None:
        self._servers = servers
        self._running: dict[Edition, str] = {}

    def server(self, edition: Edition) -> str:
        """The DSN of the running server of *edition*."""
        if edition not in self._running:
            self._running[edition] = self._servers.enter_context(editions.server(edition))
        return self._running[edition]

    def template(self, edition: Edition) -> str:
        """The migrated database to copy on that server."""
        return ensure_template(self.server(edition), _schema_version(), _migrate)


class NewDatabase(Protocol):
    """Make one more database of a test's own; it ends with the test."""

    def __call__(self, edition: Edition, *, migrated: bool = True) -> str: ...


def pytest_report_header() -> list[str]:
    return [f"{edition}: {editions.describe(edition)}" for edition in editions.tested()]


@pytest.fixture(scope="session")
def databases() -> Generator[Databases]:
    with ExitStack() as servers:
        yield Databases(servers)


@pytest.fixture
def new_database(databases: Databases) -> Generator[NewDatabase]:
    with ExitStack() as stack:

        def make(edition: Edition, *, migrated: bool = True) -> str:
            template = databases.template(edition) if migrated else "template1"
            return stack.enter_context(fresh_database(databases.server(edition), template))

        yield make


@pytest.fixture(params=editions.tested())
def edition(request: pytest.FixtureRequest) -> Edition:
    """Each edition in turn."""
    chosen: Edition = request.param
    return chosen


@pytest.fixture
def dsn(edition: Edition, new_database: NewDatabase) -> str:
    return new_database(edition)


@pytest.fixture
def empty_dsn(edition: Edition, new_database: NewDatabase) -> str:
    return new_database(edition, migrated=False)


@pytest.fixture
def timescale_dsn(new_database: NewDatabase) -> str:
    return new_database("timescale")


@pytest.fixture
def plain_dsn(new_database: NewDatabase) -> str:
    return new_database("plain")


@pytest.fixture
def community_dsn(new_database: NewDatabase) -> str:
    """TimescaleDB's Community edition; the test is skipped where no such server is named."""
    if editions.named("community") is None:
        pytest.skip("SPANMETER_TEST_COMMUNITY_DSN names no server")
    return new_database("community")


@pytest.fixture
def own_timescale() -> Generator[Cluster]:
    """A TimescaleDB server of the test's own, running and empty: to stop, start and kill."""
    if editions.named("timescale") is not None:
        pytest.skip("SPANMETER_TEST_DSN names a server, which is not for a test to kill")
    server = editions.cluster("timescale", f"own-{uuid.uuid4().hex[:8]}")
    with shared.lease(server) as own:
        yield own
    shared.forget(server)


def _schema_version() -> str:
    """Changes with any file of the storage package, which is what decides the schema."""
    (package,) = spanmeter.storage.__path__
    digest = hashlib.sha256()
    for file in sorted(Path(package).rglob("*")):
        if file.suffix in {".py", ".sql"}:
            digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def _migrate(dsn: str) -> None:
    from spanmeter.storage.migrations import migrate

    migrate(dsn)
