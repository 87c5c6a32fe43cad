"""Work that is done elsewhere is done for whoever asked for it: in threads, pools, tasks and queues."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import inspect
import queue
import re
import threading
import weakref
from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from logging.handlers import QueueListener
from multiprocessing.pool import ThreadPool
from typing import Any

import pytest
from fastapi import BackgroundTasks, FastAPI
from fastapi.testclient import TestClient
from opentelemetry import baggage, trace
from opentelemetry.context import attach
from opentelemetry.instrumentation.threading import (  # pyright: ignore[reportMissingTypeStubs]
    ThreadingInstrumentor,
)
from opentelemetry.sdk.trace import TracerProvider

from spanmeter.instrumentation import current_usage, threads, usage
from spanmeter.instrumentation.asgi import UsageMiddleware
from unit.instrumentation import faults
from unit.instrumentation.working import who

Work = Callable[..., object]

pytestmark = pytest.mark.usefixtures("recorder")


def in_a_thread(work: Work = who) -> object:
    answers: list[object] = []
    thread = threading.Thread(target=lambda: answers.append(work()))
    thread.start()
    thread.join()
    return answers[0]


def in_a_thread_of_its_own_class(work: Work = who) -> object:
    class Worker(threading.Thread):
        def run(self) -> None:
            answers.append(work())

    answers: list[object] = []
    worker = Worker()
    worker.start()
    worker.join()
    return answers[0]


def in_a_timer(work: Work = who) -> object:
    answers: list[object] = []
    timer = threading.Timer(0, lambda: answers.append(work()))
    timer.start()
    timer.join()
    return answers[0]


def in_an_executor(work: Work = who) -> object:
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(work).result()


def in_an_executor_map(work: Work = who) -> object:
    with ThreadPoolExecutor(1) as executor:
        return next(executor.map(work, [1]))


def in_a_thread_pool(work: Work = who) -> object:
    with ThreadPool(1) as pool:
        return pool.map(work, [1])[0]


def in_to_thread(work: Work = who) -> object:
    async def run() -> object:
        return await asyncio.to_thread(work)

    return asyncio.run(run())


def in_run_in_executor(work: Work = who) -> object:
    async def run() -> object:
        return await asyncio.get_running_loop().run_in_executor(None, work)

    return asyncio.run(run())


def in_a_task(work: Work = who) -> object:
    async def ask() -> object:
        return work()

    async def run() -> object:
        return await asyncio.create_task(ask())

    return asyncio.run(run())


def in_another_loop(work: Work = who) -> object:
    async def ask() -> object:
        return work()

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    with usage(tenant_id="the loop's own"):
        thread.start()
    try:
        return asyncio.run_coroutine_threadsafe(ask(), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


WAYS: list[Callable[..., object]] = [
    in_a_thread, in_a_thread_of_its_own_class, in_a_timer, in_an_executor, in_an_executor_map,
    in_a_thread_pool, in_to_thread, in_run_in_executor, in_a_task, in_another_loop,
]  # fmt: skip


@pytest.fixture(params=[False, True], ids=["alone", "beside OpenTelemetry's"])
def threading_too(request: pytest.FixtureRequest) -> Generator[None]:
    """OpenTelemetry's own instrumentation of threads, which does some of the same."""
    instrumentor = ThreadingInstrumentor()
    if request.param:
        instrumentor.instrument()
    yield
    if request.param:
        instrumentor.uninstrument()


@pytest.mark.usefixtures("threading_too")
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_work_is_done_for_whoever_asked_for_it(way: Callable[[], object]) -> None:
    with usage(tenant_id="acme"):
        assert way() == "acme"
    assert way() is None
    assert who() is None


def test_a_thread_of_a_pool_works_for_each_of_its_users() -> None:
    def left_behind() -> None:
        attach(baggage.set_baggage("tenant.id", "left behind"))

    with ThreadPoolExecutor(1) as executor, ThreadPool(1) as pool:
        with usage(tenant_id="first"):
            assert executor.submit(who).result() == pool.apply(who) == "first"
        with usage(tenant_id="second"):
            assert executor.submit(who).result() == pool.apply(who) == "second"
        executor.submit(left_behind).result()
        assert executor.submit(who).result() is None
        assert pool.apply(who) is None


def test_threads_that_work_for_everybody_inherit_nobody() -> None:
    class Handler:
        level = 0

        def handle(self, record: object) -> None:
            answers.put(who())

    answers: queue.SimpleQueue[object] = queue.SimpleQueue()
    records: queue.Queue[Any] = queue.Queue()
    handler: Any = Handler()
    listener = QueueListener(records, handler)
    with usage(tenant_id="acme"):
        listener.start()
        records.put("a record")
        assert answers.get(timeout=30) is None
    listener.stop()


def test_inheriting_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    class Module:
        Thread = threading.Thread

    monkeypatch.setenv(threads.THREAD_CONTEXT, "none")
    start = threading.Thread.start
    threads.carry_into_threads(Module)
    assert threading.Thread.start == start


def test_a_thread_that_has_ended_is_forgotten() -> None:
    """Its `run` is its own once more, and does not keep it alive."""
    thread = threading.Thread(target=who)
    gc.collect()
    gc.disable()
    try:
        with usage(tenant_id="acme"):
            thread.start()
        thread.join()
        forgotten = weakref.ref(thread)
        del thread
        assert forgotten() is None
    finally:
        gc.enable()


def test_a_thread_cannot_be_started_twice() -> None:
    thread = threading.Thread(target=who)
    with usage(tenant_id="acme"):
        thread.start()
        thread.join()
        with pytest.raises(RuntimeError):
            thread.start()


def test_a_trace_goes_along() -> None:
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("the application")
    with tracer.start_as_current_span("request") as span, ThreadPoolExecutor(1) as executor:
        assert executor.submit(trace.get_current_span).result() is span


def test_background_tasks_work_for_the_tenant_of_the_request() -> None:
    def plainly() -> None:
        answers.append(who())

    async def async_() -> None:
        await asyncio.sleep(0)
        answers.append(who())

    answers: list[object] = []
    app = FastAPI()

    @app.post("/")
    def receive(background: BackgroundTasks) -> None:
        background.add_task(plainly)
        background.add_task(async_)

    app.add_middleware(UsageMiddleware, headers={"tenant_id": "x-tenant"})
    with TestClient(app) as client:
        for tenant in ("acme", "globex"):
            client.post("/", headers={"x-tenant": tenant})
    assert answers == ["acme", "acme", "globex", "globex"]


def test_a_function_is_carried_through_a_queue() -> None:
    jobs: queue.SimpleQueue[Callable[[int], object]] = queue.SimpleQueue()
    answers: queue.SimpleQueue[object] = queue.SimpleQueue()

    def work() -> None:
        for number in range(3):
            answers.put((who(), jobs.get()(number), who()))

    for tenant in ("acme", "globex"):
        with usage(tenant_id=tenant):
            jobs.put(usage.carry(lambda number: (who(), number)))
    jobs.put(usage.carry(lambda number: (who(), number)))
    contextvars.Context().run(work)
    said = [answers.get() for _ in range(3)]
    assert said == [(None, (tenant, n), None) for n, tenant in enumerate(["acme", "globex", None])]


def test_what_runs_later_is_carried_too() -> None:
    async def ask(question: str) -> str:
        await asyncio.sleep(0)
        return f"{question} {who()}"

    def count() -> Generator[object]:
        yield who()
        yield who()

    async def count_async() -> AsyncGenerator[object]:
        yield who()
        yield who()

    with usage(tenant_id="acme"):
        carried, counted = usage.carry(ask), usage.carry(count)
        counted_async = usage.carry(count_async)
    assert inspect.iscoroutinefunction(carried)
    assert asyncio.run(carried("for")) == "for acme"
    seen = [(item, who()) for item in counted()]

    async def drain() -> list[tuple[object, object]]:
        return [(item, who()) async for item in counted_async()]

    assert seen == asyncio.run(drain()) == [("acme", None)] * 2


def test_a_carried_function_looks_like_itself() -> None:
    assert usage.carry(who).__name__ == "who"


def test_a_message_carries_the_context_in_its_headers() -> None:
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("the application")
    headers: dict[str, str] = {"content-type": "text/plain"}
    with tracer.start_as_current_span("send") as span, usage(tenant_id="acme", feature="search"):
        usage.inject(headers)
    received: dict[str, object] = {**headers, "retries": 3, "body": b"bytes"}

    @usage.extract(received)
    def handle() -> tuple[object, int]:
        return current_usage(), trace.get_current_span().get_span_context().trace_id

    found, trace_id = handle()
    with usage(tenant_id="another"), usage.extract(headers):
        assert current_usage() == found
    with usage(tenant_id="another"), usage.extract({}):
        assert current_usage() is None
    assert trace_id == span.get_span_context().trace_id
    assert who() is None


# These stand between the application and all the rest: each hands on to what may fail, and catches.
BOUNDARY = re.compile(
    r"_start$|_submit|within|_hand_over|Carried\.__call__|.*(run_in_context|wrapper)$"
    r"|Usage\.__call__|UsageScope|ContextScope\.__|Entry\.(__|leave$)"
)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_a_fault_of_ours_leaves_the_work_alone(way: Callable[..., object]) -> None:
    def done(*_: object) -> str:
        return "done"

    def work() -> object:
        with usage(tenant_id="acme"):
            return way(done)

    reached = faults.reached(work)
    broken = [each for code, each in reached.items() if not BOUNDARY.match(code.co_qualname)]
    assert len(broken) > 5
    for functions in broken:
        with faults.broken(functions):
            # In a context of its own: what is broken may be what would leave one.
            assert contextvars.copy_context().run(work) == "done"
