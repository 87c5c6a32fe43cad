"""The usage context: how scopes nest, what they wrap, where they end, and what they refuse."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncGenerator, Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, cast

import pytest
from opentelemetry import baggage
from opentelemetry.context import attach, detach

from spanmeter.instrumentation import UsageContext, current_usage, refine, usage


def tenant() -> str | None:
    """The tenant in force."""
    context = current_usage()
    return None if context is None else context.tenant_id


@pytest.fixture(autouse=True)
def nothing_is_left_behind() -> Generator[None]:
    """Every test leaves the context that it found."""
    assert current_usage() is None
    yield
    assert current_usage() is None


def test_a_scope_is_in_force_while_it_is_entered() -> None:
    with usage(tenant_id="acme", feature="search", byok=True, dimensions={"region": "eu"}):
        assert current_usage() == UsageContext(
            tenant_id="acme", feature="search", byok=True, dimensions={"region": "eu"}
        )


def test_the_same_tenant_inherits_what_is_not_overridden() -> None:
    with (
        usage(tenant_id="acme", feature="search", workflow="w1", dimensions={"region": "eu"}),
        usage(tenant_id="acme", feature="rank", dimensions={"team": "core"}),
    ):
        assert current_usage() == UsageContext(
            tenant_id="acme",
            feature="rank",
            workflow="w1",
            dimensions={"region": "eu", "team": "core"},
        )


def test_another_tenant_inherits_nothing() -> None:
    with usage(tenant_id="acme", user_id="ann", dimensions={"region": "eu"}):
        with usage(tenant_id="globex", feature="search"):
            assert current_usage() == UsageContext(tenant_id="globex", feature="search")
        assert current_usage() == UsageContext(
            tenant_id="acme", user_id="ann", dimensions={"region": "eu"}
        )


def test_refine_adds_to_whatever_is_in_force() -> None:
    with usage(tenant_id="acme", feature="search"), refine(feature="rank", action="ranked"):
        assert current_usage() == UsageContext(tenant_id="acme", feature="rank", action="ranked")
    with refine(feature="rank"):
        assert current_usage() is None
        with usage(tenant_id="acme"):
            assert current_usage() == UsageContext(tenant_id="acme")


def test_a_context_is_left_when_its_body_raises() -> None:
    with pytest.raises(LookupError), usage(tenant_id="acme"):
        raise LookupError


def test_one_scope_may_be_entered_again_and_again() -> None:
    scope = usage(tenant_id="acme")
    with scope:
        with scope:
            assert tenant() == "acme"
        assert tenant() == "acme"
    assert tenant() is None


def test_foreign_baggage_stays() -> None:
    token = attach(baggage.set_baggage("session", "s1"))
    try:
        with usage(tenant_id="acme"):
            assert baggage.get_baggage("session") == "s1"
        assert baggage.get_baggage("session") == "s1"
    finally:
        detach(token)


def test_it_is_an_async_context_manager_too() -> None:
    async def run() -> str | None:
        async with usage(tenant_id="acme"):
            await asyncio.sleep(0)
            return tenant()

    assert asyncio.run(run()) == "acme"


# Decorators.


def test_it_decorates_a_function() -> None:
    @usage(tenant_id="acme")
    def work(number: int) -> tuple[str | None, int]:
        return tenant(), number

    assert work(7) == ("acme", 7)
    assert work.__name__ == "work"


def test_it_decorates_a_coroutine_function() -> None:
    @usage(tenant_id="acme")
    async def work() -> str | None:
        await asyncio.sleep(0)
        return tenant()

    async def run() -> tuple[str | None, str | None]:
        return await work(), tenant()

    assert asyncio.run(run()) == ("acme", None)


def test_the_consumer_of_a_generator_never_sees_its_tenant() -> None:
    @usage(tenant_id="acme")
    def work() -> Generator[str | None, str, str]:
        sent = yield tenant()
        try:
            yield f"{sent} {tenant()}"
        except LookupError:
            yield f"caught {tenant()}"
        return "returned"

    generator = work()
    assert next(generator) == "acme"
    assert tenant() is None
    with usage(tenant_id="globex"):
        assert generator.send("sent") == "sent acme"
        assert tenant() == "globex"
    assert generator.throw(LookupError()) == "caught acme"
    with pytest.raises(StopIteration) as stop:
        next(generator)
    assert stop.value.value == "returned"


def test_the_consumer_of_an_async_generator_never_sees_its_tenant() -> None:
    closed: list[str | None] = []

    @usage(tenant_id="acme")
    async def work() -> AsyncGenerator[str | None, str]:
        try:
            sent = yield tenant()
            await asyncio.sleep(0)
            try:
                yield f"{sent} {tenant()}"
            except LookupError:
                yield f"caught {tenant()}"
            yield "not reached"
        finally:
            await asyncio.sleep(0)
            closed.append(tenant())

    async def run() -> None:
        generator = work()
        assert await anext(generator) == "acme"
        assert tenant() is None
        with usage(tenant_id="globex"):
            assert await generator.asend("sent") == "sent acme"
            assert tenant() == "globex"
        assert await generator.athrow(LookupError()) == "caught acme"
        await generator.aclose()
        assert tenant() is None

    asyncio.run(run())
    assert closed == ["acme"]


def test_a_generator_that_is_closed_cleans_up_for_its_tenant() -> None:
    closed: list[str | None] = []

    @usage(tenant_id="acme")
    def work() -> Generator[int]:
        try:
            yield 1
        finally:
            closed.append(tenant())

    generator = work()
    next(generator)
    with usage(tenant_id="globex"):
        generator.close()
        assert tenant() == "globex"
    assert closed == ["acme"]


# Leaving where it was not entered.


def test_a_generator_may_be_finished_by_another_thread() -> None:
    """Its `with` is left in a context in which it was never entered."""

    def work() -> Generator[str | None]:
        with usage(tenant_id="acme"):
            yield tenant()

    def finish() -> str | None:
        with usage(tenant_id="globex"):
            assert list(generator) == []
            return tenant()

    generator = contextvars.copy_context().run(work)
    assert contextvars.copy_context().run(next, generator) == "acme"
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(finish).result() == "globex"


def test_an_async_generator_may_be_finished_by_another_task() -> None:
    async def work() -> AsyncGenerator[str | None]:
        with usage(tenant_id="acme"):
            yield tenant()

    async def finish(generator: AsyncGenerator[str | None]) -> str | None:
        with usage(tenant_id="globex"):
            await generator.aclose()
            return tenant()

    async def run() -> str | None:
        generator = work()
        await asyncio.create_task(cast(Any, anext(generator)))
        return await asyncio.create_task(finish(generator))

    assert asyncio.run(run()) == "globex"


def test_a_coroutine_that_is_dropped_does_not_end_the_scope_of_its_like() -> None:
    """The two share one decorator; the second is closed in the context of the first."""

    @usage(tenant_id="acme")
    async def work(step: asyncio.Future[None] | None = None) -> str | None:
        if step is not None:
            await step
            return None
        abandoned.pop().close()
        return tenant()

    async def run() -> str | None:
        abandoned.append(work(asyncio.get_running_loop().create_future()))
        contextvars.copy_context().run(abandoned[0].send, None)
        return await work()

    abandoned: list[Any] = []
    assert asyncio.run(run()) == "acme"


def test_tasks_do_not_share_a_tenant() -> None:
    async def run() -> list[str | None]:
        async def one(name: str) -> str | None:
            with usage(tenant_id=name):
                await asyncio.sleep(0.001)
                return tenant()

        return await asyncio.gather(*(one(f"t{number}") for number in range(50)))

    with usage(tenant_id="acme"):
        assert asyncio.run(run()) == [f"t{number}" for number in range(50)]


# Dimensions of the user's own.


@dataclass(frozen=True, kw_only=True)
class AcmeUsage(UsageContext):
    """A usage context with dimensions that a type checker knows."""

    department: str
    region: str = "eu"


def test_a_subclass_adds_dimensions() -> None:
    with usage(AcmeUsage(tenant_id="acme", department="legal", dimensions={"team": "core"})):
        assert AcmeUsage.current() == AcmeUsage(
            tenant_id="acme", department="legal", dimensions={"team": "core"}
        )
        assert current_usage() == UsageContext(
            tenant_id="acme", dimensions={"department": "legal", "region": "eu", "team": "core"}
        )


def test_a_subclass_is_not_current_where_what_it_requires_is_not_known() -> None:
    assert AcmeUsage.current() is None
    with usage(tenant_id="acme"):
        assert AcmeUsage.current() is None
        with refine(dimensions={"department": "legal"}):
            assert AcmeUsage.current() == AcmeUsage(tenant_id="acme", department="legal")
