"""While the database is away or slow, requests are acknowledged from the journal; none of them is lost, or twice."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import grpc
import psycopg
import pytest

import otlp
from collecting import CollectorProcess, Ledger, StartCollector
from databases.cluster import Cluster
from otlp import Client
from spanmeter.collector_receiver import Collector, CollectorSettings, committer
from spanmeter.storage.migrations import migrate

NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"


@pytest.fixture
def server(own_timescale: Cluster) -> Cluster:
    migrate(own_timescale.dsn())
    return own_timescale


@contextmanager
def collecting(dsn: str, journal: Path, **settings: float) -> Generator[tuple[Collector, Client]]:
    chosen = CollectorSettings(dsn=dsn, grpc="127.0.0.1:0", journal=journal, **settings)  # type: ignore[arg-type]
    with Collector(chosen) as collector, Client(collector.grpc_address) as client:
        yield collector, client


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def stored(dsn: str) -> int:
    spans = Ledger(dsn).spans()
    assert len(spans) == len(set(spans))
    return len(spans)


def test_an_absence_is_not_seen_by_any_client(server: Cluster, tmp_path: Path) -> None:
    """However long it is, and whoever sends; what came first is there once it is over."""
    with collecting(server.dsn(), tmp_path) as (collector, client):
        client.export(otlp.llm_request(10))
        server.stop("fast")
        for _ in range(20):
            client.export(otlp.llm_request(10), timeout=8)
        assert collector.counts.journaled == 200
        assert collector.counts.refused == 0
        server.start()
        client.export(otlp.llm_request(10))
        wait_for(lambda: stored(server.dsn()) == 220)
        wait_for(lambda: not list(tmp_path.glob("*/*.log")))
        client.export(otlp.llm_request(10))
        assert collector.counts.journaled <= 210
    assert stored(server.dsn()) == 230


def test_a_slow_database_is_not_waited_for_twice(plain_dsn: str, tmp_path: Path) -> None:
    """The first request that waits too long is journaled, and those after it at once."""
    with collecting(plain_dsn, tmp_path, hold=0.5) as (_, client):
        with psycopg.connect(plain_dsn) as lock:
            lock.execute("LOCK TABLE usage_events IN ACCESS EXCLUSIVE MODE")
            client.export(otlp.llm_request(3))
            started = time.monotonic()
            for _ in range(5):
                client.export(otlp.llm_request(3))
            assert time.monotonic() - started < 2
        wait_for(lambda: stored(plain_dsn) == 18)


def test_a_sender_in_haste_makes_no_database_slow(
    plain_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is answered from the journal; whoever has the time is answered when it is committed."""
    monkeypatch.setattr(committer, "SLOW", 600)
    with (
        collecting(plain_dsn, tmp_path, hold=60, deadline_margin=120) as (collector, client),
        ThreadPoolExecutor(1) as thread,
        psycopg.connect(plain_dsn) as lock,
    ):
        lock.execute("LOCK TABLE usage_events IN ACCESS EXCLUSIVE MODE")
        client.export(otlp.llm_request(3), timeout=8)
        patient = thread.submit(client.export, otlp.llm_request(5), timeout=300)
        wait_for(lambda: collector.counts.received == 8)
        lock.rollback()
        patient.result()
        assert collector.counts.journaled == 3
        wait_for(lambda: stored(plain_dsn) == 8)


def test_nothing_acknowledged_is_lost_when_the_collector_is_killed_in_an_outage(
    server: Cluster, start_collector: StartCollector, tmp_path: Path
) -> None:
    """The next one replays it, while it takes more."""
    collector = start_collector(server.dsn(), journal=tmp_path)
    with Client(collector.address) as client:
        client.export(otlp.llm_request(100))
        server.stop("fast")
        acknowledged = 100 + _until_killed(collector, client)
    server.start()
    collector = start_collector(server.dsn(), journal=tmp_path)
    with Client(collector.address) as client:
        client.export(otlp.llm_request(1))
    wait_for(lambda: stored(server.dsn()) >= acknowledged + 1)
    collector.terminate()
    assert collector.process.wait(20) == 0


def _until_killed(collector: CollectorProcess, client: Client) -> int:
    """Send from several threads until the collector is killed; how many spans were acknowledged."""
    acknowledged = threading.Semaphore(0)

    def send() -> int:
        count = 0
        while True:
            try:
                client.export(otlp.llm_request(10))
            except grpc.RpcError:
                return count
            count += 10
            acknowledged.release()

    with ThreadPoolExecutor(4) as threads:
        counts = [threads.submit(send) for _ in range(4)]
        for _ in range(100):
            assert acknowledged.acquire(timeout=60)
        collector.kill()
        return sum(count.result() for count in counts)


def test_fault_20_what_a_dead_collector_left_is_replayed_by_one_that_runs(
    plain_dsn: str, start_collector: StartCollector, tmp_path: Path
) -> None:
    """Replaying stops with the database away: what is left is there for the one that has a database."""
    first = start_collector(NOWHERE, journal=tmp_path)
    with Client(first.address) as client:
        client.export(otlp.llm_request(7))
    first.kill()
    (tmp_path / "0").rename(tmp_path / "1")
    with collecting(plain_dsn, tmp_path):
        wait_for(lambda: stored(plain_dsn) == 7)


def test_a_full_journal_asks_to_try_again(tmp_path: Path) -> None:
    errors: list[grpc.RpcError] = []
    with collecting(NOWHERE, tmp_path, journal_bytes=2000, hold=0.5, grace=0) as (_, client):
        while not errors:
            try:
                client.export(otlp.llm_request(1))
            except grpc.RpcError as error:
                errors.append(error)
    assert errors[0].code() is grpc.StatusCode.UNAVAILABLE
    assert "google.rpc.retryinfo-bin" in {each.key for each in errors[0].trailing_metadata()}
    assert 500 < sum(path.stat().st_size for path in tmp_path.glob("*/*.log")) <= 2000


def test_what_metering_rejects_is_told_and_kept_all_the_same(
    server: Cluster, tmp_path: Path
) -> None:
    bad = otlp.llm_span({"gen_ai.usage.input_tokens": -1})
    with collecting(server.dsn(), tmp_path) as (_, client):
        server.stop("fast")
        answer = client.export(otlp.request([bad, otlp.llm_span()]))
        assert answer.partial_success.rejected_spans == 1
        assert client.error_of(b"no request").code() is grpc.StatusCode.INVALID_ARGUMENT
        server.start()
        wait_for(lambda: stored(server.dsn()) == 1)
    (kept,) = Ledger(server.dsn()).rejected()
    assert kept.reason == "bad_count"


def test_a_span_is_judged_by_the_time_it_came(plain_dsn: str, tmp_path: Path) -> None:
    """A day in the journal does not make it too old."""
    day = timedelta(seconds=2)
    settings = CollectorSettings(dsn=NOWHERE, grpc="127.0.0.1:0", journal=tmp_path, max_age=day)
    with Collector(settings) as collector, Client(collector.grpc_address) as client:
        client.export(otlp.request([otlp.llm_span(age=0.1)]))
    time.sleep(2.5)
    settings = CollectorSettings(dsn=plain_dsn, grpc="127.0.0.1:0", journal=tmp_path, max_age=day)
    with Collector(settings):
        wait_for(lambda: stored(plain_dsn) == 1)
    assert Ledger(plain_dsn).rejected() == []


def test_damage_is_set_aside_and_the_rest_replayed(
    plain_dsn: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    part = tmp_path / "0"
    part.mkdir()
    (part / "000000000001.log").write_bytes(b"no segment at all, but long enough")
    with collecting(NOWHERE, tmp_path) as (_, client):
        client.export(otlp.llm_request(2))
    with collecting(plain_dsn, tmp_path):
        wait_for(lambda: stored(plain_dsn) == 2)
    assert [path.name for path in part.glob("*.set-aside")] == ["000000000001.log.set-aside"]
    assert "could not replay a segment of the journal" in caplog.text
