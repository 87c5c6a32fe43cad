"""A load of exports whose sender keeps books of its own, and the audit of the ledger against them."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

import grpc

import otlp
from booking import query

RETRYABLE = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
}
"""What exporters send again after (OTLP specification, "Failures"); our server chooses none but the first."""

PER_TENANT_AND_HOUR = (
    "SELECT tenant_id, hour, sum(requests), sum(input_tokens), sum(output_tokens), sum(cost)"
    " FROM usage_hourly GROUP BY 1, 2"
)


PACE = 0.01
"""Seconds between two batches of a client: the receiver is to be the busy one, not its load."""


class Call(NamedTuple):
    """What the sender knows of a call: who pays, when it began, and what it used."""

    tenant: str
    time: datetime
    input_tokens: int
    output_tokens: int


Books = Mapping[bytes, Call]
"""Calls by the id of their span."""


class Batch(NamedTuple):
    """An export request, and the sender's record of it."""

    body: bytes
    calls: Books


def batch(spans: int = 100) -> Batch:
    """A request of calls of several tenants in the last hours, each with counts of its own."""
    made = [_call() for _ in range(spans)]
    return Batch(
        otlp.request(span for span, _ in made), {span.span_id: call for span, call in made}
    )


def _call() -> tuple[Any, Call]:
    tenant = random.choice(("acme", "globex", "initech", "umbrella"))
    tokens = random.randint(1, 5000), random.randint(1, 500)
    attributes: dict[str, otlp.Value] = {
        "tenant.id": tenant,
        "gen_ai.usage.input_tokens": tokens[0],
        "gen_ai.usage.output_tokens": tokens[1],
    }
    span = otlp.llm_span(attributes, age=random.uniform(1, 10_000))
    began = datetime.fromtimestamp(span.start_time_unix_nano / 1e9, UTC)
    return span, Call(tenant, began, *tokens)


class Load:
    """Sends batches from several clients at once and keeps account of what was acknowledged, and of each refusal.

    With `patience` a batch is sent again for so many seconds; without, it is left, as the JavaScript exporter does.
    """

    def __init__(
        self, *addresses: str, clients: int = 4, patience: float = 60, timeout: float = 10
    ) -> None:
        self._addresses = addresses
        self._clients = clients
        self._patience = patience
        self._timeout = timeout
        self._changed = threading.Condition()
        self._sent: dict[bytes, Call] = {}
        self._acknowledged: dict[bytes, Call] = {}
        self.refusals: Counter[grpc.StatusCode] = Counter()
        """How often each code was answered."""

    @property
    def sent(self) -> Books:
        """All that was sent, whatever became of it."""
        with self._changed:
            return dict(self._sent)

    @property
    def acknowledged(self) -> Books:
        """What was answered OK."""
        with self._changed:
            return dict(self._acknowledged)

    def send(self, batches: Iterable[Batch]) -> None:
        """Send these, and return when the last of them is acknowledged or given up."""
        shares = list(batches)
        with ThreadPoolExecutor(self._clients) as threads:
            sending = [
                threads.submit(self._send, number, iter(shares[number :: self._clients]))
                for number in range(self._clients)
            ]
        for share in sending:
            share.result()

    @contextmanager
    def running(self, spans: int = 20) -> Generator[None]:
        """Send batches without end while the block runs; what is under way at its end is brought to its own."""
        ended = threading.Event()

        def batches() -> Generator[Batch]:
            while not ended.wait(PACE):
                yield batch(spans)

        with ThreadPoolExecutor(self._clients) as threads:
            sending = [
                threads.submit(self._send, number, batches()) for number in range(self._clients)
            ]
            try:
                yield
            finally:
                ended.set()
        for share in sending:
            share.result()

    def wait_for(self, spans: int, seconds: float = 60) -> None:
        """Wait until so many spans more than now are acknowledged."""
        with self._changed:
            goal = len(self._acknowledged) + spans
            done = self._changed.wait_for(lambda: len(self._acknowledged) >= goal, seconds)
            assert done, f"{len(self._acknowledged)} spans of {goal} in {seconds} s"

    def _send(self, number: int, batches: Iterable[Batch]) -> None:
        with otlp.Client(self._addresses[number % len(self._addresses)]) as client:
            for body, calls in batches:
                with self._changed:
                    self._sent.update(calls)
                if self._delivered(client, body):
                    with self._changed:
                        self._acknowledged.update(calls)
                        self._changed.notify_all()

    def _delivered(self, client: otlp.Client, body: bytes) -> bool:
        deadline = time.monotonic() + self._patience
        while True:
            try:
                answer = client.export(body, timeout=self._timeout)
            except grpc.RpcError as error:
                with self._changed:
                    self.refusals[error.code()] += 1
                if error.code() not in RETRYABLE:
                    raise
                if time.monotonic() > deadline:
                    return False
                time.sleep(0.05)
            else:
                # The Collector in Go sets it, without anything in it.
                assert not answer.partial_success.rejected_spans, answer
                return True


def audit(dsn: str, load: Load) -> None:
    """Nothing acknowledged is lost, nothing is there twice or was never sent, and every sum is the sender's own."""
    rows = [span_id for (span_id,) in query(dsn, "SELECT span_id FROM usage_events")]
    booked, acknowledged, sent = set(rows), load.acknowledged, load.sent
    assert len(rows) == len(booked), "a row is there twice"
    assert not acknowledged.keys() - booked, "what was acknowledged is lost"
    assert not booked - sent.keys(), "a row was never sent"
    assert_sums(dsn, {span_id: sent[span_id] for span_id in booked})


def assert_sums(dsn: str, books: Books) -> None:
    """What is shown per tenant and hour is the sum over these calls, to the last digit (I10)."""
    shown = {(tenant, hour): tuple(sums) for tenant, hour, *sums in query(dsn, PER_TENANT_AND_HOUR)}
    assert shown == _sums(books.values())


def _sums(calls: Iterable[Call]) -> Mapping[tuple[str, datetime], Sequence[Decimal]]:
    """GPT-4o: 2.50 USD for a million tokens in, 10 for a million out."""
    sums: defaultdict[tuple[str, datetime], list[Decimal]] = defaultdict(lambda: [Decimal()] * 4)
    for tenant, began, in_, out in calls:
        hour = began.replace(minute=0, second=0, microsecond=0)
        cost = Decimal(in_ * 250 + out * 1000).scaleb(-8)
        amounts = (Decimal(1), Decimal(in_), Decimal(out), cost)
        adding = zip(sums[tenant, hour], amounts, strict=True)
        sums[tenant, hour] = [total + amount for total, amount in adding]
    return {key: tuple(totals) for key, totals in sums.items()}


def awaited(condition: Callable[[], object], seconds: float = 60) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.05)
