"""Every call is booked to the tenant that made it, whatever else runs at the same time."""

from __future__ import annotations

import asyncio
import random
import re
from collections import Counter
from collections.abc import AsyncGenerator, Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import psycopg
import pytest
from anthropic import AsyncAnthropic
from openai import AsyncOpenAI
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from simulated_provider import Reply, SimulatedProvider
from spanmeter.collector_receiver import Collector, CollectorSettings
from spanmeter.instrumentation import instrument, refine, uninstrument, usage

THREADS, TASKS = 8, 200
TENANTS = [f"tenant-{number}" for number in range(97)]


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


class Caller:
    """Calls models for tenants, and keeps its own account of which answer was whose.

    The tenant is passed along as an argument and told to the provider in the prompt; to spanmeter it is told by the
    usage context alone.
    """

    def __init__(self, provider: SimulatedProvider, answers: dict[str, tuple[str, str]]) -> None:
        # More tasks than connections, so that they take turns within a request.
        limits = httpx2.Limits(max_connections=8)
        options: Any = {"api_key": "any", "timeout": 100}
        self._http = httpx2.AsyncClient(limits=limits, verify=False)
        self._openai = AsyncOpenAI(
            base_url=provider.openai_base_url, http_client=self._http, **options
        )
        self._anthropic = AsyncAnthropic(base_url=provider.url, http_client=self._http, **options)
        self._answers = answers

    async def close(self) -> None:
        await self._http.aclose()

    async def chat(self, tenant: str, feature: str) -> None:
        completion = await self._openai.chat.completions.create(
            model="gpt-4o-mini", messages=[{"role": "user", "content": f"x-tenant {tenant}"}]
        )
        self._answers[completion.id] = (tenant, feature)

    async def chat_stream(self, tenant: str, feature: str) -> None:
        stream = await self._openai.chat.completions.create(
            model="gpt-4o-mini",
            messages=[{"role": "user", "content": f"x-tenant {tenant}"}],
            stream=True,
        )
        async for chunk in stream:
            await asyncio.sleep(0)
            self._answers[chunk.id] = (tenant, feature)

    async def message(self, tenant: str, feature: str) -> None:
        async with self._anthropic.messages.stream(
            model="claude-haiku-4-5",
            max_tokens=20,
            messages=[{"role": "user", "content": f"x-tenant {tenant}"}],
        ) as stream:
            answer = await stream.get_final_message()
        self._answers[answer.id] = (tenant, feature)

    async def work(self, chance: random.Random) -> None:
        """One task: a call for its own tenant, around or beside one for another."""
        calls = [self.chat, self.chat_stream, self.message]
        outer, inner = chance.choice(TENANTS), chance.choice(TENANTS)
        with usage(tenant_id=outer, feature="outer"):
            if chance.random() < 0.3:
                with usage(tenant_id=inner, feature="inner"):
                    await chance.choice(calls)(inner, "inner")
            if chance.random() < 0.2:
                async for _ in self.generate(inner):
                    await asyncio.sleep(0)
            with refine(feature="refined"):
                await chance.choice(calls)(outer, "refined")

    async def generate(self, tenant: str) -> AsyncGenerator[None]:
        """A generator with a tenant of its own, which the loop around it must not see."""

        @usage(tenant_id=tenant, feature="generated")
        async def generated() -> AsyncGenerator[None]:
            yield
            await self.chat(tenant, "generated")
            yield

        async for item in generated():
            yield item


def run_thread(
    provider: SimulatedProvider, answers: dict[str, tuple[str, str]], number: int
) -> None:
    """One thread: an event loop with all its tasks at once."""

    async def run() -> None:
        caller = Caller(provider, answers)
        await asyncio.gather(
            *(caller.work(random.Random(f"{number} {task}")) for task in range(TASKS))
        )
        await caller.close()

    # The thread has a tenant too, who must not be seen in any of the tasks.
    with usage(tenant_id=f"thread-{number}"):
        asyncio.run(run())


@pytest.mark.slow
def test_no_row_is_booked_to_another_tenant(
    provider: SimulatedProvider, tracer_provider: TracerProvider, timescale_dsn: str
) -> None:
    answers: dict[str, tuple[str, str]] = {}
    with ThreadPoolExecutor(THREADS) as pool:
        for done in [
            pool.submit(run_thread, provider, answers, number) for number in range(THREADS)
        ]:
            done.result()
    assert tracer_provider.force_flush(60_000)

    with psycopg.connect(timescale_dsn) as connection:
        rows = connection.execute(
            "SELECT response_id, tenant_id, feature, status, input_tokens, output_tokens FROM usage_events"
        ).fetchall()
    assert len(rows) == len(answers) == len(provider.served) > THREADS * TASKS
    assert {row[0]: (row[1], row[2]) for row in rows} == answers
    assert {row[3] for row in rows} == {"ok"}

    # What the tenants said to the provider, and what it charged for.
    prompts = Counter(
        re.findall(rb"x-tenant (tenant-\d+)", request.body)[0].decode()
        for request in provider.requests
    )
    assert Counter(row[1] for row in rows) == prompts
    served = [(each.response_id, each.tokens.input, each.tokens.output) for each in provider.served]
    assert sorted((row[0], row[4], row[5]) for row in rows) == sorted(served)
