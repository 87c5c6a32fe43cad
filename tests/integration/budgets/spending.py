"""An application that spends until it is stopped: 48 tasks for acme, which has a budget, 16 for globex, which has none.

Given the provider's address. Each of acme's tasks ends when it has been refused for longer than a lease of a dead
process lives; globex's with them. Prints how many calls were made, refused, and failed otherwise, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from uuid import uuid4

import openai

from spanmeter.instrumentation import BudgetExceeded, instrument, usage

ACME, GLOBEX = 48, 16

MODELS = {"acme": "gpt-4o", "globex": "gpt-4o-mini"}
"""By which the provider's books tell them apart."""

PERSISTENCE = 30.0
"""Seconds of nothing but refusals."""

made: Counter[str] = Counter()
slowest_refusal = [0.0]


async def call(client: openai.AsyncOpenAI, tenant: str) -> None:
    with usage(tenant_id=tenant):
        await client.chat.completions.create(
            model=MODELS[tenant],
            max_completion_tokens=200,
            # Another one each time: nothing of it is in the provider's cache.
            messages=[{"role": "user", "content": f"{uuid4()} " + "How did we do? " * 800}],
        )
    made[tenant] += 1


async def spend(client: openai.AsyncOpenAI) -> None:
    spent_last = time.monotonic()
    while time.monotonic() - spent_last < PERSISTENCE:
        asked = time.monotonic()
        try:
            await call(client, "acme")
            spent_last = time.monotonic()
        except BudgetExceeded:
            made["refused"] += 1
            slowest_refusal[0] = max(slowest_refusal[0], time.monotonic() - asked)
            await asyncio.sleep(0.5)


async def run_free(client: openai.AsyncOpenAI, over: asyncio.Event) -> None:
    while not over.is_set():
        try:
            await call(client, "globex")
        except BudgetExceeded:
            made["globex refused"] += 1
        await asyncio.sleep(0.2)


async def main(url: str) -> None:
    over = asyncio.Event()
    async with openai.AsyncOpenAI(base_url=url, api_key="any", max_retries=0, timeout=60) as client:
        free = [asyncio.create_task(run_free(client, over)) for _ in range(GLOBEX)]
        await asyncio.gather(*(spend(client) for _ in range(ACME)))
        over.set()
        await asyncio.gather(*free)
    print(json.dumps({**made, "slowest_refusal": slowest_refusal[0]}))


if __name__ == "__main__":
    instrument()
    asyncio.run(main(sys.argv[1]))
