"""F7, F8, F19, F22: what is delivered again, in other pieces, out of order, changed, or too late."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

import otlp
from booking import query
from collecting import Ledger
from load import Batch, Load, assert_sums, audit, batch
from receivers import Receivers
from spanmeter.collector_receiver import Collector, CollectorSettings

DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"


def spans_of(batches: list[Batch]) -> list[Span]:
    return [
        span
        for made in batches
        for resource_spans in ExportTraceServiceRequest.FromString(made.body).resource_spans
        for span in resource_spans.scope_spans[0].spans
    ]


def cut_anew(batches: list[Batch], most: int) -> list[Batch]:
    """The same spans in requests of other sizes, in another order."""
    spans = spans_of(batches)
    calls = {span_id: call for made in batches for span_id, call in made.calls.items()}
    random.shuffle(spans)
    pieces: list[Batch] = []
    while spans:
        size = random.randint(1, most)
        piece, spans = spans[:size], spans[size:]
        known = {span.span_id: calls[span.span_id] for span in piece}
        pieces.append(Batch(otlp.request(piece), known))
    return pieces


def test_fault_07_delivery_again_reordered_split_and_merged_to_three_receivers_at_once(
    dsn: str, receivers: Receivers
) -> None:
    settings = CollectorSettings(dsn=dsn, grpc="127.0.0.1:0", writers=2)
    load = Load(*(receivers.start(settings).address for _ in range(3)), clients=9)
    batches = [batch(50) for _ in range(12)]
    again = [*batches, *batches, *cut_anew(batches, 20), *cut_anew(batches, 200)]
    random.shuffle(again)

    load.send(again)

    assert not load.refusals
    assert load.acknowledged.keys() == {span.span_id for span in spans_of(batches)}
    audit(dsn, load)
    assert query(dsn, DEADLOCKS) == [(0,)]


def test_fault_08_the_same_span_with_other_counts_is_quarantined_and_the_first_stays(
    dsn: str, receivers: Receivers
) -> None:
    """Told to whichever receivers: of those that race, one wins, and all others are set aside."""
    settings = CollectorSettings(dsn=dsn, grpc="127.0.0.1:0")
    addresses = [receivers.start(settings).address for _ in range(2)]
    span = otlp.llm_span()
    (tokens,) = (each for each in span.attributes if each.key == "gen_ai.usage.input_tokens")

    def told(input_tokens: int) -> bytes:
        tokens.value.int_value = input_tokens
        return otlp.request([span])

    bodies = [told(1000 + n) for n in range(4)]
    with otlp.Client(addresses[0]) as one, otlp.Client(addresses[1]) as other:
        with ThreadPoolExecutor(4) as threads:
            answers = list(threads.map(otlp.Client.export, [one, other] * 2, bodies))
        again = [client.export(body) for client in (one, other) for body in bodies]

    assert sorted(answer.partial_success.rejected_spans for answer in answers) == [0, 1, 1, 1]
    assert sum(answer.partial_success.rejected_spans for answer in again) == 6
    (booked,) = Ledger(dsn).column("input_tokens")
    won = next(n for n, answer in enumerate(answers) if not answer.HasField("partial_success"))
    assert booked == 1000 + won
    assert [row.reason for row in Ledger(dsn).rejected()] == ["conflict"] * 3


def test_fault_08_the_same_span_with_another_start_costs_once(dsn: str) -> None:
    span = otlp.llm_span()
    bodies = [otlp.request([span])]
    span.start_time_unix_nano += 1_000_000
    bodies.append(otlp.request([span]))

    with (
        Collector(CollectorSettings(dsn=dsn, grpc="127.0.0.1:0")) as collector,
        otlp.Client(collector.grpc_address) as client,
    ):
        for body in bodies * 2:
            client.export(body)

    assert query(dsn, "SELECT sum(requests), sum(input_tokens) FROM ledger") == [(1, 1000)]
    reasons = query(dsn, "SELECT billable_reason FROM usage_events ORDER BY 1")
    assert len(reasons) == 2, "the other is there, and shows what it is"
    assert sum("duplicate" in reason for (reason,) in reasons) == 1


def test_fault_19_a_span_that_comes_again_after_its_chunk_was_dropped_is_not_billed_again(
    timescale_dsn: str,
) -> None:
    old = otlp.llm_span(age=60 * 86_400)
    new = otlp.llm_span()
    with (
        Collector(CollectorSettings(dsn=timescale_dsn, grpc="127.0.0.1:0")) as collector,
        otlp.Client(collector.grpc_address) as client,
    ):
        client.export(otlp.request([old, new]))
        query(timescale_dsn, "SELECT drop_chunks('usage_events', interval '30 days')")
        assert Ledger(timescale_dsn).spans() == [new.span_id]

        answer = client.export(otlp.request([old, new]))

    assert answer.partial_success.rejected_spans == 1
    assert Ledger(timescale_dsn).spans() == [new.span_id]
    ((reason, span_id),) = query(timescale_dsn, "SELECT reason, span_id FROM rejected_spans")
    assert (reason, span_id) == ("dropped", old.span_id)


def test_fault_19_a_span_older_than_what_is_kept_is_quarantined(timescale_dsn: str) -> None:
    """The window is set to what retention keeps."""
    settings = CollectorSettings(dsn=timescale_dsn, grpc="127.0.0.1:0", max_age=timedelta(days=30))
    with Collector(settings) as collector, otlp.Client(collector.grpc_address) as client:
        answer = client.export(otlp.request([otlp.llm_span(age=31 * 86_400), otlp.llm_span()]))

    assert answer.partial_success.rejected_spans == 1
    assert len(Ledger(timescale_dsn).spans()) == 1
    assert [row.reason for row in Ledger(timescale_dsn).rejected()] == ["bad_time"]


def test_fault_22_the_sums_per_tenant_and_hour_are_the_clients_own_at_every_moment(
    dsn: str, receivers: Receivers
) -> None:
    settings = CollectorSettings(dsn=dsn, grpc="127.0.0.1:0")
    load = Load(*(receivers.start(settings).address for _ in range(2)))
    for _ in range(3):
        with load.running():
            load.wait_for(200)
        assert_sums(dsn, load.acknowledged)
    audit(dsn, load)
