"""Programs of calls for many tenants, in every way that work is handed on, and an account of which call was whose.

The tenant is passed along as an argument and told to the provider in the prompt; to spanmeter it is
told by the usage context alone.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Self

import httpx2
from anthropic import AsyncAnthropic
from google.genai import types
from hypothesis import strategies as st
from openai import AsyncOpenAI, OpenAI
from opentelemetry import baggage

from simulated_provider import SimulatedProvider
from spanmeter.instrumentation import current_usage, refine, usage
from spanmeter.metering import attributes as names
from unit.instrumentation.clients import google_calls

Work = Callable[[], Awaitable[None]]
TENANTS: Final = 97


@dataclass(frozen=True)
class Step:
    """One step of a program: `how` it is done, for whom if that is another tenant, and what is done in it."""

    how: str
    tenant: int | None = None
    then: tuple[Step, ...] = ()


class Caller:
    """Calls models in an event loop of its own, with pools and a queue whose threads serve everybody."""

    def __init__(self, provider: SimulatedProvider, answers: dict[str, str]) -> None:
        self._provider = provider
        self._answers = answers
        self._jobs: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        # More tasks than connections, so that they take turns within a request.
        limits = httpx2.Limits(max_connections=8)
        http = await self._stack.enter_async_context(
            httpx2.AsyncClient(limits=limits, verify=False)
        )
        options: Any = {"api_key": "any", "timeout": 100}
        url = self._provider.openai_base_url
        self._openai = AsyncOpenAI(base_url=url, http_client=http, **options)
        self._anthropic = AsyncAnthropic(base_url=self._provider.url, http_client=http, **options)
        plain = self._stack.enter_context(httpx2.Client(limits=limits, verify=False))
        self._plain = OpenAI(base_url=url, http_client=plain, **options)
        gemini = google_calls.client_of(self._provider)
        self._gemini = await self._stack.enter_async_context(gemini.aio)
        self._pool = self._stack.enter_context(ThreadPoolExecutor(2))
        worker = threading.Thread(target=self._work)
        worker.start()
        self._stack.callback(worker.join)
        self._stack.callback(self._jobs.put, self._finish)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    async def run(self, step: Step, tenant: str, number: int) -> None:
        """Does one step for the tenant in force, or for its own."""
        if step.tenant is None:
            await self._do(step, tenant, number)
        else:
            own = f"tenant-{(step.tenant + number) % TENANTS}"
            with usage(tenant_id=own):
                await self._do(step, own, number)
        assert whose() == tenant

    async def _do(self, step: Step, tenant: str, number: int) -> None:
        if step.how in CALLS:
            await CALLS[step.how](self, tenant)
        else:
            await NESTING[step.how](partial(self._all, step.then, tenant, number), tenant)

    async def _all(self, steps: tuple[Step, ...], tenant: str, number: int) -> None:
        for step in steps:
            await self.run(step, tenant, number)

    async def chat(self, tenant: str) -> None:
        completion = await self._openai.chat.completions.create(
            model="gpt-4o-mini", messages=[{"role": "user", "content": f"x-tenant {tenant}."}]
        )
        self._answers[completion.id] = tenant

    async def chat_stream(self, tenant: str) -> None:
        stream = await self._openai.chat.completions.create(
            model="gpt-4o-mini",
            messages=[{"role": "user", "content": f"x-tenant {tenant}."}],
            stream=True,
        )
        async for chunk in stream:
            await asyncio.sleep(0)
            self._answers[chunk.id] = tenant

    async def message(self, tenant: str) -> None:
        async with self._anthropic.messages.stream(
            model="claude-haiku-4-5",
            max_tokens=20,
            messages=[{"role": "user", "content": f"x-tenant {tenant}."}],
        ) as stream:
            answer = await stream.get_final_message()
        self._answers[answer.id] = tenant

    async def tool(self, tenant: str) -> None:
        """A call that calls a function of the application's, which calls another model."""

        async def ask_another() -> str:
            """Asks another model, in the context of whoever made the call."""
            assert baggage.get_baggage(names.TENANT_ID) == tenant
            await self.chat(tenant)
            with usage(tenant_id="tenant-0"):
                await self.chat("tenant-0")
            return "asked"

        answer = await self._gemini.models.generate_content(
            model="gemini-2.5-flash",
            contents=f"x-tenant {tenant}.",
            config=types.GenerateContentConfig(tools=[ask_another]),
        )
        self._answers[answer.response_id] = tenant

    def chat_plainly(self, tenant: str) -> None:
        completion = self._plain.chat.completions.create(
            model="gpt-4o-mini", messages=[{"role": "user", "content": f"x-tenant {tenant}."}]
        )
        self._answers[completion.id] = tenant

    async def to_thread(self, tenant: str) -> None:
        await asyncio.to_thread(self.chat_plainly, tenant)

    async def in_pool(self, tenant: str) -> None:
        await asyncio.get_running_loop().run_in_executor(self._pool, self.chat_plainly, tenant)

    async def in_thread(self, tenant: str) -> None:
        thread = threading.Thread(target=self.chat_plainly, args=(tenant,))
        thread.start()
        await asyncio.to_thread(thread.join)

    async def through_queue(self, tenant: str) -> None:
        done: Future[None] = Future()
        carried = usage.carry(self.chat_plainly)

        def job() -> None:
            carried(tenant)
            done.set_result(None)

        self._jobs.put(job)
        await asyncio.wait_for(asyncio.wrap_future(done), 100)

    def _work(self) -> None:
        self._working = True
        while self._working:
            self._jobs.get()()

    def _finish(self) -> None:
        self._working = False


def whose() -> str | None:
    """The tenant in force."""
    found = current_usage()
    return found.tenant_id if found is not None else None


async def plainly(then: Work, tenant: str) -> None:
    await then()


async def refined(then: Work, tenant: str) -> None:
    with refine(feature="refined"):
        await then()


async def in_a_task(then: Work, tenant: str) -> None:
    async def run() -> None:
        await then()

    await asyncio.gather(asyncio.create_task(run()), asyncio.sleep(0))


async def in_a_generator(then: Work, tenant: str) -> None:
    """A generator with a tenant of its own, which the loop around it must not see."""

    async def steps() -> AsyncGenerator[None]:
        yield
        await then()
        yield

    carried = usage.carry(steps)
    with usage(tenant_id="consumer"):
        async for _ in carried():
            assert whose() == "consumer"
            await asyncio.sleep(0)


async def beside_a_generator_closed_elsewhere(then: Work, tenant: str) -> None:
    async def steps() -> AsyncGenerator[None]:
        with usage(tenant_id="closed elsewhere"):
            yield

    async def begin() -> None:
        await anext(generator)

    generator = steps()
    await asyncio.create_task(begin())
    await then()
    with usage(tenant_id="closing"):
        await asyncio.create_task(generator.aclose())
        assert whose() == "closing"


CALLS: Final[Mapping[str, Callable[[Caller, str], Awaitable[None]]]] = {
    "chat": Caller.chat,
    "chat stream": Caller.chat_stream,
    "message": Caller.message,
    "tool": Caller.tool,
    "to_thread": Caller.to_thread,
    "pool": Caller.in_pool,
    "thread": Caller.in_thread,
    "queue": Caller.through_queue,
}
NESTING: Final[Mapping[str, Callable[[Work, str], Awaitable[None]]]] = {
    "plain": plainly,
    "refine": refined,
    "task": in_a_task,
    "generator": in_a_generator,
    "generator closed elsewhere": beside_a_generator_closed_elsewhere,
}

_whose = st.none() | st.integers(0, TENANTS - 1)
programs: Final[st.SearchStrategy[Step]] = st.recursive(
    st.builds(Step, st.sampled_from(sorted(CALLS)), _whose),
    lambda inner: st.builds(
        Step,
        st.sampled_from(sorted(NESTING)),
        _whose,
        st.lists(inner, min_size=1, max_size=2).map(tuple),
    ),
    max_leaves=3,
)
"""One task's work."""


def run_all(
    provider: SimulatedProvider, program: list[Step], *, threads: int, tasks: int
) -> dict[str, str]:
    """Runs the program in threads, each with an event loop of its tasks all at once. Whose each answer was,
    by its id; what is not in there are the turns in which a model had a function called."""
    answers: dict[str, str] = {}

    async def run(number: int) -> None:
        async with Caller(provider, answers) as caller:
            mine = [program[task % len(program)] for task in range(tasks)]
            root = f"thread-{number}"
            await asyncio.gather(
                *(caller.run(step, root, number * tasks + task) for task, step in enumerate(mine))
            )

    def run_thread(number: int) -> None:
        # The thread has a tenant too, who must not be seen in any of the other tenants' calls.
        with usage(tenant_id=f"thread-{number}"):
            asyncio.run(run(number))

    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(run_thread, number) for number in range(threads)]:
            done.result()
    return answers
