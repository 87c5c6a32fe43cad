"""Every call is booked to the tenant that made it, whatever else runs at the same time."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Generator, Mapping

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from isolation import Step, programs, run_all
from simulated_provider import Reply, SimulatedProvider
from spanmeter.collector_receiver import Collector, CollectorSettings
from spanmeter.instrumentation import instrument, uninstrument
from spanmeter.metering import attributes as names
from unit.instrumentation.recording import Recorder

THREADS, TASKS = 8, 200

pytestmark = [
    pytest.mark.slow,
    # The SDK's own sessions are a subclass of aiohttp's, made on first use.
    pytest.mark.filterwarnings("ignore:Inheritance class:DeprecationWarning"),
]


@pytest.fixture(scope="module")
def provider() -> Generator[SimulatedProvider]:
    with SimulatedProvider(
        default=Reply(text="Six words are said in answer.", chunks=3)
    ) as running:
        yield running


@pytest.fixture
def tracer_provider(timescale_dsn: str) -> Generator[TracerProvider]:
    """Spans go to a real collector, and from there into the ledger."""
    provider = TracerProvider(shutdown_on_exit=False)
    with Collector(CollectorSettings(dsn=timescale_dsn, grpc="127.0.0.1:0")) as collector:
        exporter = OTLPSpanExporter(f"http://{collector.grpc_address}", insecure=True)
        provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=20_000))
        instrument(tracer_provider=provider)
        yield provider
        uninstrument()
        provider.shutdown()


def check(
    tenants: list[tuple[str, str]], answers: Mapping[str, str], provider: SimulatedProvider
) -> None:
    """Each record, by the id of its response, is of the tenant whose answer that was, and all together
    are of those who asked."""
    assert len(tenants) == len(dict(tenants)) == len(provider.served)
    assert dict(tenants).items() >= answers.items()
    assert {served.response_id for served in provider.served} == dict(tenants).keys()
    # What the tenants said to the provider.
    prompts = Counter(
        re.findall(rb"x-tenant ([\w-]+)\.", request.body)[0].decode()
        for request in provider.requests
    )
    assert Counter(tenant for _, tenant in tenants) == prompts


# One random program a run; what fails is shown and kept, and smaller ones are looked for below.
@settings(
    max_examples=1,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(programs, min_size=40, max_size=40))
def test_no_row_is_booked_to_another_tenant(
    provider: SimulatedProvider,
    tracer_provider: TracerProvider,
    timescale_dsn: str,
    program: list[Step],
) -> None:
    provider.reset()
    answers = run_all(provider, program, threads=THREADS, tasks=TASKS)
    assert tracer_provider.force_flush(60_000)
    with psycopg.connect(timescale_dsn) as connection:
        rows = connection.execute(
            "SELECT response_id, tenant_id, status, input_tokens, output_tokens FROM usage_events"
        ).fetchall()
    check([(row[0], row[1]) for row in rows], answers, provider)
    assert len(rows) >= THREADS * TASKS
    assert {row[2] for row in rows} == {"ok"}
    # What the provider charged for.
    served = [(each.response_id, each.tokens.input, each.tokens.output) for each in provider.served]
    assert sorted((row[0], row[3], row[4]) for row in rows) == sorted(served)


@settings(max_examples=15, deadline=None)
@given(st.lists(programs, min_size=1, max_size=6))
def test_no_call_is_recorded_for_another_tenant(
    provider: SimulatedProvider, program: list[Step]
) -> None:
    provider.reset()
    recorder = Recorder()
    recorder.start()
    try:
        answers = run_all(provider, program, threads=2, tasks=6)
        recorded = [
            (str(span[names.RESPONSE_ID]), str(span.get(names.TENANT_ID)))
            for span in recorder.metered
        ]
    finally:
        recorder.stop()
        recorder.tracer_provider.shutdown()
    check(recorded, answers, provider)
