"""`python application.py SDK BASE_URL`: calls that every major of an SDK can make, one step after the other.

Prints the name of each step, waits for a line, makes the step's calls, and prints their spans as a
line of JSON.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from spanmeter.instrumentation import instrument, usage

ASK: Mapping[str, Mapping[str, Any]] = {
    "openai": {"model": "gpt-4o-mini"},
    "anthropic": {"model": "claude-haiku-4-5", "max_tokens": 50},
}


class Application:
    """One SDK's way to do each step."""

    def __init__(self, sdk: str, url: str) -> None:
        self._sdk = sdk
        self._ask = {**ASK[sdk], "messages": [{"role": "user", "content": "How did we do?"}]}
        self._options: Any = {"base_url": url, "api_key": "any", "max_retries": 2}

    def _class(self, prefix: str = "") -> Any:
        name = {"openai": "OpenAI", "anthropic": "Anthropic"}[self._sdk]
        # Imported only now: each environment has one of them.
        return getattr(importlib.import_module(self._sdk), prefix + name)

    def _client(self) -> Any:
        return self._class()(**self._options)

    def _of(self, client: Any) -> Any:
        return client.chat.completions if self._sdk == "openai" else client.messages

    def plain(self) -> None:
        self._of(self._client()).create(**self._ask)

    def raw(self) -> None:
        self._of(self._client()).with_raw_response.create(**self._ask).parse()

    def stream(self) -> None:
        for _ in self._of(self._client()).create(**self._ask, stream=True):
            pass

    def retry(self) -> None:
        self.plain()

    def broken(self) -> None:
        # Which exception it is differs between majors.
        with suppress(Exception):
            self.stream()
            raise SystemExit("the application saw no error")

    def given_up(self) -> None:
        stream = self._of(self._client()).create(**self._ask, stream=True)
        for _ in stream:
            break
        stream.response.close()

    def plain_async(self) -> None:
        async def use(client: Any) -> None:
            await self._of(client).create(**self._ask)

        self._run(use)

    def stream_async(self) -> None:
        async def use(client: Any) -> None:
            async for _ in await self._of(client).create(**self._ask, stream=True):
                pass

        self._run(use)

    def cancelled_async(self) -> None:
        async def use(client: Any) -> None:
            async def read() -> None:
                async for _ in await self._of(client).create(**self._ask, stream=True):
                    begun.set()

            begun = asyncio.Event()
            task = asyncio.create_task(read())
            await begun.wait()
            task.cancel()
            await asyncio.wait([task])

        self._run(use)

    def _run(self, use: Callable[[Any], Awaitable[None]]) -> None:
        async def run() -> None:
            client = self._class("Async")(**self._options)
            await use(client)
            await client.close()

        asyncio.run(run())


STEPS = (
    "plain", "raw", "stream", "retry", "broken", "given_up",
    "plain_async", "stream_async", "cancelled_async",
)  # fmt: skip


def main() -> None:
    """All steps."""
    sdk, url = sys.argv[1:]
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrument(tracer_provider=provider)
    application = Application(sdk, url)
    for step in STEPS:
        print(step, flush=True)
        sys.stdin.readline()
        with usage(tenant_id="acme"):
            getattr(application, step)()
        # What is estimated ends aside.
        provider.force_flush()
        spans = [dict(span.attributes or {}) for span in exporter.get_finished_spans()]
        exporter.clear()
        print(json.dumps(spans), flush=True)


if __name__ == "__main__":
    main()
