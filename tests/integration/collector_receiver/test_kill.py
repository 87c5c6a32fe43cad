"""The collector is stopped: what is under way is answered, and its clients find the next one."""

from __future__ import annotations

import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import grpc
import psycopg

import otlp
from collecting import CollectorProcess, Ledger, StartCollector
from otlp import Client


def test_a_request_under_way_at_sigterm_is_answered_ok(
    dsn: str, start_collector: StartCollector
) -> None:
    collector = start_collector(dsn)
    with Client(collector.address) as client, ThreadPoolExecutor(1) as thread, ExitStack() as lock:
        _lock_ledger(lock, dsn)
        answer = thread.submit(client.export, otlp.llm_request(2))
        time.sleep(0.5)
        collector.terminate()
        time.sleep(0.5)
        lock.close()

        assert not answer.result(10).HasField("partial_success")
    assert collector.process.wait(10) == 0
    assert len(Ledger(dsn).spans()) == 2


def test_a_second_signal_stops_without_waiting_for_the_database(
    plain_dsn: str, start_collector: StartCollector
) -> None:
    collector = start_collector(plain_dsn)
    with Client(collector.address) as client, ThreadPoolExecutor(1) as thread, ExitStack() as lock:
        _lock_ledger(lock, plain_dsn)
        answer = thread.submit(client.export, otlp.llm_request(2))
        time.sleep(0.5)
        collector.terminate()
        time.sleep(0.2)
        collector.process.send_signal(signal.SIGINT)

        collector.process.wait(8)
        error = answer.exception(5)
    assert isinstance(error, grpc.RpcError)
    assert Ledger(plain_dsn).spans() == []


def test_a_client_finds_the_restarted_collector_on_the_same_address(
    plain_dsn: str, start_collector: StartCollector
) -> None:
    collector = start_collector(plain_dsn)
    with Client(collector.address) as client:
        client.export(otlp.llm_request(1))
        _stop(collector)
        start_collector(plain_dsn, collector.address)
        client.deliver(otlp.llm_request(1))

    assert len(Ledger(plain_dsn).spans()) == 2


def _stop(collector: CollectorProcess) -> None:
    collector.terminate()
    collector.process.wait(10)


def _lock_ledger(stack: ExitStack, dsn: str) -> None:
    """Keep every commit to the ledger waiting until the stack is closed."""
    connection = stack.enter_context(psycopg.connect(dsn))
    connection.execute("LOCK TABLE usage_events IN ACCESS EXCLUSIVE MODE")
