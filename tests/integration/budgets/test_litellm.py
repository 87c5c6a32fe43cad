"""litellm under a budget: whatever it sends, by itself or by another SDK, is checked once, and refused as such.

`make test-matrix` runs these in an environment of their own.
"""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import Callable
from contextvars import copy_context
from decimal import Decimal
from typing import Any

import pytest

from integration.budgets.conftest import Laid
from simulated_provider import SimulatedProvider
from spanmeter.instrumentation import BudgetExceeded, usage
from spanmeter.metering import attributes as names
from unit.instrumentation.recording import Recorder

os.environ.setdefault("HF_HUB_OFFLINE", "1")
litellm: Any = pytest.importorskip("litellm")

from unit.instrumentation.clients import test_litellm as its  # noqa: E402 - it imports litellm

event_loop, runner, each_service, of = its.event_loop, its.runner, its.each_service, its.of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(120),
    pytest.mark.filterwarnings("default"),
    pytest.mark.usefixtures("guarding", "recorder"),
]

Called = Callable[..., None]


def completed(asked: dict[str, Any], runner: asyncio.Runner, *, stream: bool) -> None:
    answer = litellm.completion(**asked, stream=stream)
    if stream:
        list(answer)


def completed_async(asked: dict[str, Any], runner: asyncio.Runner, *, stream: bool) -> None:
    async def call() -> None:
        answer = await litellm.acompletion(**asked, stream=stream)
        if stream:
            async for _ in answer:
                pass

    # The runner has a context of its own.
    runner.run(call(), context=copy_context())


each_form = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
each_call = pytest.mark.parametrize("call", [completed, completed_async])


@each_service
@each_form
@each_call
def test_nothing_leaves_where_nothing_is_left(
    lay_down: Laid,
    provider: SimulatedProvider,
    runner: asyncio.Runner,
    service: its.Service,
    call: Called,
    *,
    stream: bool,
) -> None:
    lay_down("acme", "0", metric="requests")
    with pytest.raises(BudgetExceeded), usage(tenant_id="acme"):
        call(of(service, provider), runner, stream=stream)
    assert provider.requests == []


@each_service
@each_form
@each_call
def test_a_call_is_checked_once_and_refused_where_it_does_not_fit(
    lay_down: Laid,
    provider: SimulatedProvider,
    runner: asyncio.Runner,
    recorder: Recorder,
    service: its.Service,
    call: Called,
    *,
    stream: bool,
) -> None:
    lay_down("acme", "6000", metric="tokens")
    lay_down("twice", "2", metric="requests")
    asked = of(service, provider) | {"num_retries": 2, "max_tokens": 50}
    with usage(tenant_id="acme"):
        call(asked, runner, stream=stream)
        with pytest.raises(BudgetExceeded) as caught:
            call(asked | {"max_tokens": 7000}, runner, stream=stream)
    assert caught.value.budget == "acme"
    assert caught.value.limit == Decimal(6000)
    assert len(provider.requests) == 1
    leases = recorder.only()[names.USAGE_BUDGET_LEASES]
    assert len(str(leases).split()) == 2
    # And the second of two requests is there.
    with usage(tenant_id="acme"):
        call(asked, runner, stream=stream)
    assert len(provider.requests) == 2


@pytest.mark.parametrize(("whose", "operation", "ask"), its.OTHERS.values(), ids=its.OTHERS)
def test_other_than_chat(
    lay_down: Laid,
    provider: SimulatedProvider,
    runner: asyncio.Runner,
    whose: str,
    operation: str,
    ask: Callable[[str], Any],
) -> None:
    lay_down("acme", "0", metric="requests")

    def call() -> None:
        asking = ask(provider.url)
        if inspect.iscoroutine(asking):
            runner.run(asking, context=copy_context())

    with pytest.raises(BudgetExceeded), usage(tenant_id="acme"):
        call()
    assert provider.requests == []


def test_a_router_tries_no_other_model_of_a_budget_that_is_used_up(
    lay_down: Laid, provider: SimulatedProvider
) -> None:
    lay_down("acme", "10", metric="tokens")
    listed = [
        {
            "model_name": name,
            "litellm_params": {
                key: value
                for key, value in of(its.SERVICES[name], provider).items()
                if key != "messages"
            },
        }
        for name in ("anthropic", "groq")
    ]
    router = litellm.Router(model_list=listed, fallbacks=[{"anthropic": ["groq"]}], num_retries=1)
    ask = [{"role": "user", "content": "How did we do?"}]
    with pytest.raises(BudgetExceeded), usage(tenant_id="acme"):
        router.completion(model="anthropic", messages=ask)
    assert provider.requests == []
