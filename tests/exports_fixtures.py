"""A ledger of some hours, targets on this machine, and `spanmeter export` in this process or in one of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result

from billing.cloudevents import KEY
from billing.server import BillingServer, Fault, When
from booking import event, metered, query
from spanmeter.console.cli import main
from spanmeter.storage.ledger import LedgerWriter

START = (datetime.now(UTC) - timedelta(hours=8)).replace(minute=0, second=0, microsecond=0)
"""The ledger's first hour: all of its windows are over."""

HOUR = timedelta(hours=1)

HELD = 4711
"""The advisory lock at which a run is held up, to be killed."""


@dataclass(frozen=True)
class Exports:
    """`spanmeter export` with a file of targets, and a ledger."""

    dsn: str
    file: Path

    def configure(self, text: str) -> None:
        self.file.write_text(text)

    @property
    def variables(self) -> dict[str, str]:
        return {
            "SPANMETER_DSN": self.dsn,
            "SPANMETER_EXPORTS": str(self.file),
            "BILLING_KEY": KEY,
        }

    def __call__(self, *arguments: str) -> Result:
        return CliRunner().invoke(main, ["export", *arguments], env=self.variables)

    def ran(self, *arguments: str) -> str:
        """What a run that went well says."""
        done = self("run", *arguments)
        assert done.exit_code == 0, (done.output, done.exception)
        return done.stdout

    def listed(self, *arguments: str) -> dict[str, Any]:
        done = self(*arguments, "--format", "json")
        assert done.exit_code == 0, (done.output, done.exception)
        document: dict[str, Any] = json.loads(done.stdout)
        return document

    def status(self) -> dict[str, dict[str, Decimal]]:
        """By meter."""
        rows: list[dict[str, Any]] = self.listed("status")["rows"]
        return {
            row["meter"]: {
                name: Decimal(value)
                for name, value in row.items()
                if name not in ("meter", "target")
            }
            for row in rows
        }

    def states(self, target: str = "billing") -> list[str]:
        return [row["state"] for row in self.listed("show", target)["rows"]]

    def run_killed_at(self, statement: str) -> None:
        """A run that is killed, and its session ended, while the database is about to run such a statement."""
        query(
            self.dsn,
            "CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS"
            f" 'BEGIN PERFORM pg_advisory_xact_lock({HELD}); RETURN NEW; END'",
        )
        query(self.dsn, f"CREATE TRIGGER hold BEFORE {statement} EXECUTE FUNCTION hold()")
        with psycopg.connect(self.dsn, autocommit=True) as holding:
            holding.execute("SELECT pg_advisory_lock(%s)", (HELD,))
            with self.process() as process:
                backend = _waiting(holding)
                process.kill()
            holding.execute("SELECT pg_terminate_backend(%s, 10000)", (backend,))
        query(self.dsn, "DROP FUNCTION hold CASCADE")

    def process(self) -> subprocess.Popen[str]:
        """A run in a process of its own, to be killed."""
        return subprocess.Popen(
            [str(Path(sys.executable).with_name("spanmeter")), "export", "run"],
            env={**os.environ, **self.variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run_killed_by(self, server: BillingServer, when: When, after: int = 0) -> None:
        """A run that is killed when so many requests were answered, before the next is taken or after."""
        pids: list[int] = []
        kill = Fault(when, done=lambda: os.kill(pids[0], signal.SIGKILL))
        server.faults.extend([*[None] * after, kill])
        with self.process() as process:
            pids.append(process.pid)
            process.wait(timeout=60)
        assert process.returncode == -signal.SIGKILL


def _waiting(holding: psycopg.Connection[Any]) -> int:
    """The session that waits for the lock, once there is one."""
    # Of this database: other tests have the same lock in theirs.
    statement = (
        "SELECT pid FROM pg_locks JOIN pg_database ON pg_database.oid = database"
        " WHERE locktype = 'advisory' AND objid = %s AND NOT granted AND datname = current_database()"
    )
    while (row := holding.execute(statement, (HELD,)).fetchone()) is None:
        holding.execute("SELECT pg_sleep(0.05)")
    return int(row[0])


def book(dsn: str, tenant: str | None, hour: int, **fields: Any) -> None:
    """A call in that hour of the ledger."""
    when = START + hour * HOUR + HOUR / 4
    told = {"tenant_id": tenant, "time": when, "cache_read_input_tokens": None, **fields}
    with LedgerWriter(dsn) as writer:
        assert writer.write(metered(event(**told))).inserted == 1


def ledger_totals(dsn: str, expression: str = "input_tokens") -> dict[str, Decimal]:
    """What is billable of each tenant."""
    rows = query(
        dsn,
        f"SELECT tenant_id, sum({expression}) FROM ledger"  # noqa: S608
        " WHERE tenant_id IS NOT NULL AND billable_state = 'billable' GROUP BY 1",
    )
    return {tenant: Decimal(total) for tenant, total in rows}


def fill(dsn: str) -> None:
    """Three hours of two tenants, a call of nobody, and one that is not charged."""
    for hour in range(3):
        book(dsn, "acme", hour, input_tokens=1000 + hour, cost=Decimal("0.0015"))
        book(dsn, "globex", hour, input_tokens=500 + hour, cost=Decimal("0.0007"))
    book(dsn, None, 1, input_tokens=77)
    book(dsn, "acme", 1, input_tokens=9999, billable_state="ignored")


@pytest.fixture
def ledger(plain_dsn: str) -> str:
    """A ledger that is filled so."""
    fill(plain_dsn)
    return plain_dsn


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tried again is tried at once."""

    def passed(seconds: float) -> None:
        assert seconds >= 0

    monkeypatch.setattr("spanmeter.console.exports.running.time.sleep", passed)


@pytest.fixture
def exports(ledger: str, tmp_path: Path) -> Exports:
    return Exports(ledger, tmp_path / "exports.toml")


def values(found: Mapping[tuple[str, str], Decimal], meter: str) -> dict[str, Decimal]:
    """Of one meter, by customer."""
    return {customer: value for (customer, name), value in found.items() if name == meter}
