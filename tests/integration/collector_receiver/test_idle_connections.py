"""Thousands of connections that say nothing: they take little, and keep nobody from being served."""

from __future__ import annotations

import resource
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path

import pytest
from grpc_health.v1.health_pb2 import HealthCheckResponse

import otlp
from collecting import CollectorProcess, Ledger, StartCollector
from otlp import Client
from spanmeter.collector_receiver import Collector, CollectorSettings, http_server

PROGRAM = Path(__file__).with_name("collector_program.py")

WANTED = 10_000
SPARE = 500
"""Files that the processes have open for other reasons."""

MOST_KIB_EACH = 50
"""It is about 15."""

HTTP2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
"""What a gRPC client begins with, and empty settings: the connection is a whole one."""


@pytest.fixture
def connections() -> Generator[int]:
    """As many connections as this process may open, up to those wanted."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield min(WANTED, hard - SPARE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def resident_kib(process: CollectorProcess) -> int:
    status = Path(f"/proc/{process.process.pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1])


@pytest.mark.slow
def test_fault_14_idle_connections_cost_little_and_others_are_served(
    start_collector: StartCollector, plain_dsn: str, connections: int
) -> None:
    process = start_collector(plain_dsn)
    host, _, port = process.address.rpartition(":")
    with ExitStack() as idle, Client(process.address) as client:
        client.export(otlp.llm_request(10))
        before = resident_kib(process)
        for _ in range(connections):
            made = idle.enter_context(socket.create_connection((host, int(port)), timeout=30))
            made.sendall(HTTP2_PREFACE)

        with Client(process.address) as late:
            assert late.health(timeout=30) == HealthCheckResponse.SERVING
            late.export(otlp.llm_request(10), timeout=30)
        client.export(otlp.llm_request(10), timeout=30)

        assert resident_kib(process) - before < connections * MOST_KIB_EACH
    assert len(Ledger(plain_dsn).spans()) == 30


@pytest.mark.slow
def test_fault_14_silent_connections_over_http_are_let_go_and_others_are_served_meanwhile(
    plain_dsn: str, connections: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both ends are in this process, so it can have half as many."""
    monkeypatch.setattr(http_server, "HEADERS_TIMEOUT", 5.0)
    settings = CollectorSettings(dsn=plain_dsn, grpc="127.0.0.1:0", http="127.0.0.1:0")
    with ExitStack() as idle, Collector(settings) as collector:
        assert collector.addresses.http is not None
        host, _, port = collector.addresses.http.rpartition(":")
        silent = [
            idle.enter_context(socket.create_connection((host, int(port)), timeout=60))
            for _ in range(connections // 2)
        ]
        with urllib.request.urlopen(f"http://{host}:{port}/readyz", timeout=60) as answer:
            assert answer.status == 200
        assert all(each.recv(1) == b"" for each in silent)


def test_fault_14_a_collector_takes_as_many_connections_as_the_machine_lets_it(
    plain_dsn: str,
) -> None:
    limited = 'ulimit -Sn 256; exec "$@"'
    program = [sys.executable, str(PROGRAM), plain_dsn, "127.0.0.1:0"]
    with subprocess.Popen(
        ["sh", "-c", limited, "sh", *program], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        limits = Path(f"/proc/{process.pid}/limits").read_text()
        process.terminate()
    (files,) = (line for line in limits.splitlines() if line.startswith("Max open files"))
    soft, hard = files.split()[3:5]
    assert soft == hard
