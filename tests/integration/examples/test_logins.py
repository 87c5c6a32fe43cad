"""The logins of the compose file: made by psql as the image does, they may do what their services do, and no more."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from psycopg import errors
from psycopg.conninfo import make_conninfo

import otlp
from booking import query
from databases.cluster import Cluster
from receivers import receivers
from spanmeter.collector_receiver import CollectorSettings
from spanmeter.storage.migrations import migrate

LOGINS = Path(__file__).parents[3] / "examples/deployment/compose/logins.sql"


def test_the_collector_books_and_grafana_only_reads(own_timescale: Cluster) -> None:
    owner = own_timescale.dsn()
    script = own_timescale.directory / LOGINS.name
    script.write_text(LOGINS.read_text())
    settings = ("ON_ERROR_STOP=1", "collector_password=a'b", "grafana_password=c")
    sets = (argument for setting in settings for argument in ("--set", setting))
    own_timescale.programs.run(
        "psql", *sets, "--file", str(script), owner, state=own_timescale.directory
    )
    migrate(owner)
    collector, grafana = (make_conninfo(owner, user=user) for user in ("collector", "grafana"))

    with receivers() as running:
        receiver = running.start(CollectorSettings(dsn=collector, grpc="127.0.0.1:0"))
        with otlp.Client(receiver.address) as client:
            client.deliver(otlp.llm_request(3))

    assert query(grafana, "SELECT sum(requests) FROM usage_daily") == [(3,)]
    for login, statement in (
        (grafana, b"INSERT INTO billable_rules DEFAULT VALUES"),
        (grafana, b"DELETE FROM usage_events"),
        (collector, b"DELETE FROM usage_events"),
    ):
        with psycopg.connect(login) as connection, pytest.raises(errors.InsufficientPrivilege):
            connection.execute(statement)
