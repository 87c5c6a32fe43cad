"""Requests that are too much: refused before they take memory or time, while their neighbours are stored."""

# grpc-stubs leaves the types of messages open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

import otlp
from collecting import CollectorProcess, Ledger, StartCollector
from otlp import Client
from spanmeter.collector_receiver import Collector, CollectorSettings

TEN_MB = "x" * 10_000_000


@pytest.fixture
def process(start_collector: StartCollector, plain_dsn: str) -> CollectorProcess:
    return start_collector(plain_dsn)


def resident_mib(process: CollectorProcess) -> float:
    """The most memory that the process ever had."""
    status = Path(f"/proc/{process.process.pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def nested(path: tuple[int, ...], count: int) -> bytes:
    """So many empty messages at the end of a path of field numbers."""
    body = bytes([path[-1] << 3 | 2, 0]) * count
    for number in reversed(path[:-1]):
        body = bytes([number << 3 | 2]) + _varint(len(body)) + body
    return body


@pytest.mark.parametrize(
    "path",
    [
        pytest.param((1, 2, 2), id="spans"),
        pytest.param((1, 2, 2, 9), id="attributes"),
        pytest.param((1, 2, 2, 9, 2, 5, 1), id="items of a list"),
    ],
)
def test_fault_10_four_kib_that_would_become_gigabytes_are_refused_in_little_memory(
    process: CollectorProcess, plain_dsn: str, path: tuple[int, ...]
) -> None:
    bomb = nested(path, 7_500_000)
    with Client(process.address) as client, ThreadPoolExecutor(4) as threads:
        client.export(otlp.llm_request(10))
        before = resident_mib(process)

        errors = list(threads.map(gzipped, [process] * 4, [bomb] * 4))

        assert {error.code() for error in errors} == {grpc.StatusCode.INVALID_ARGUMENT}
        client.export(otlp.llm_request(10))
    # Four requests of 15 MB, inflated, and as they travel through gRPC; parsed they would be 5 GB.
    assert resident_mib(process) - before < 400
    assert len(Ledger(plain_dsn).spans()) == 20


def test_fault_09_a_gzip_bomb_beyond_the_limit_on_bytes_is_never_inflated_whole(
    process: CollectorProcess,
) -> None:
    with Client(process.address) as client:
        client.export(otlp.llm_request(1))
        before = resident_mib(process)

        error = gzipped(process, bytes(512 * 1024 * 1024))

        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert resident_mib(process) - before < 100
        client.export(otlp.llm_request(1))


def test_fault_10_others_are_answered_while_bombs_come_in(process: CollectorProcess) -> None:
    bomb = nested((1, 2, 2, 9), 7_500_000)
    with Client(process.address) as client, sending(lambda: gzipped(process, bomb)):
        slowest = 0.0
        for _ in range(20):
            started = time.monotonic()
            client.export(otlp.llm_request(5))
            slowest = max(slowest, time.monotonic() - started)

    assert slowest < 5


def test_fault_12_a_prompt_of_ten_megabytes_is_left_out_and_its_call_is_booked(
    process: CollectorProcess, plain_dsn: str
) -> None:
    spans = [otlp.llm_span(), otlp.llm_span({"gen_ai.input.messages": TEN_MB}), otlp.llm_span()]

    with Client(process.address) as client:
        response = client.export(otlp.request(spans))

    assert not response.HasField("partial_success")
    assert len(Ledger(plain_dsn).spans()) == 3
    assert Ledger(plain_dsn).rejected() == []


def test_fault_12_a_dimension_of_ten_megabytes_is_rejected_alone(
    process: CollectorProcess, plain_dsn: str
) -> None:
    large = [
        otlp.llm_span({"tenant.id": TEN_MB}),
        otlp.llm_span({"gen_ai.request.model": TEN_MB[:2_000_000]}),
        otlp.llm_span({"usage.dimension.team": TEN_MB[:2_000_000]}),
    ]

    with Client(process.address) as client:
        response = client.export(otlp.request([otlp.llm_span(), *large, otlp.llm_span()]))

    assert response.partial_success.rejected_spans == 3
    rejected = Ledger(plain_dsn).rejected()
    assert {row.span_id for row in rejected} == {span.span_id for span in large}
    assert {row.reason for row in rejected} == {"bad_text"}
    assert max(len(row.payload) for row in rejected) < 100_000
    assert len(Ledger(plain_dsn).spans()) == 2


def test_fault_14_one_who_floods_delays_another_by_little(plain_dsn: str) -> None:
    """The senders are told apart by host; here, one speaks IPv4 and the other IPv6."""
    settings = CollectorSettings(
        dsn=plain_dsn, grpc="[::]:0", auth=False, handlers=16, commit_rows=512
    )
    try:
        collector = Collector(settings)
        collector.start()
    except OSError:
        pytest.skip("this machine has no IPv6")
    port = collector.grpc_address.rpartition(":")[2]
    body = otlp.llm_request(400)

    def flood() -> None:
        with Client(f"127.0.0.1:{port}") as client:
            client.deliver(body)

    try:
        with Client(f"[::1]:{port}") as client, sending(flood, threads=40):
            answered = [timed(lambda: client.export(otlp.llm_request(1))) for _ in range(10)]
    finally:
        collector.stop(grace=10)

    assert max(answered) < 5


class sending:  # noqa: N801  reads as the statement that it is
    """Do it again and again on threads of their own, until the block ends."""

    def __init__(self, action: Callable[[], object], *, threads: int = 2) -> None:
        self._action = action
        self._stop = threading.Event()
        self._started = threading.Semaphore(0)
        self._threads = [threading.Thread(target=self._run) for _ in range(threads)]

    def _run(self) -> None:
        self._started.release()
        while not self._stop.is_set():
            self._action()

    def __enter__(self) -> None:
        for thread in self._threads:
            thread.start()
        for _ in self._threads:
            self._started.acquire()

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


def timed(action: Callable[[], object]) -> float:
    """How many seconds it takes."""
    started = time.monotonic()
    action()
    return time.monotonic() - started


def gzipped(process: CollectorProcess, body: bytes) -> grpc.RpcError:
    """The error that the body is answered with when it is sent compressed."""
    options = [("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(
        process.address, options=options, compression=grpc.Compression.Gzip
    ) as channel:
        try:
            channel.unary_unary(otlp.EXPORT, None, None)(body, timeout=60)
        except grpc.RpcError as error:
            return error
    raise AssertionError("the request was answered OK")


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
