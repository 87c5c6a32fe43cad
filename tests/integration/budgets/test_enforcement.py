"""Calls that fit go, calls that do not are stopped before they are made, whoever asks and however."""

from __future__ import annotations

import asyncio
import pickle
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from integration.budgets.conftest import Laid, MakeGuard
from simulated_provider import SimulatedProvider
from spanmeter.instrumentation import BudgetExceeded, usage
from spanmeter.instrumentation.budgets.guard import Guard
from spanmeter.metering import attributes as names
from unit.instrumentation.forms import CHAT, async_client_of, client_of
from unit.instrumentation.recording import Recorder

pytestmark = pytest.mark.timeout(120)


def ask(provider: SimulatedProvider, tenant: str = "acme", **arguments: object) -> None:
    with usage(tenant_id=tenant, feature="summaries"), client_of(CHAT, provider) as client:
        client.chat.completions.create(**{**CHAT.arguments, **arguments})


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_calls_go_until_the_budget_is_used_up(
    lay_down: Laid,
    make_guard: MakeGuard,
    provider: SimulatedProvider,
    recorder: Recorder,
    protocol: str,
) -> None:
    lay_down("acme", "3", metric="requests")
    make_guard(protocol=protocol)
    for _ in range(3):
        ask(provider)
    with pytest.raises(BudgetExceeded) as caught:
        ask(provider)
    assert len(provider.requests) == 3
    error = caught.value
    assert (error.budget, error.scope, error.limit, error.needed) == (
        *("acme", "tenant.id acme"),
        *(Decimal(3), Decimal(1)),
    )
    assert error.resets_at is not None
    assert "spanmeter budget increase acme AMOUNT" in str(error)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301 - our own
    ask(provider, tenant="globex")
    leases = [each.get(names.USAGE_BUDGET_LEASES) for each in recorder.metered]
    assert [bool(each) for each in leases] == [True, True, True, False]


def test_what_was_not_used_is_free_again(
    lay_down: Laid, guarding: Guard, provider: SimulatedProvider, recorder: Recorder
) -> None:
    # gpt-5-mini: 4096 tokens of output are estimated at some 0.008 dollars each; used is a fraction of that.
    lay_down("acme", "0.012")
    for _ in range(4):
        ask(provider)
    assert len(provider.requests) == 4


def test_a_hundred_tasks_and_threads_get_no_more_than_there_is(
    lay_down: Laid, guarding: Guard, provider: SimulatedProvider, recorder: Recorder
) -> None:
    lay_down("acme", "25", metric="requests")

    async def tasks() -> list[object]:
        async with async_client_of(CHAT, provider) as client:
            with usage(tenant_id="acme"):
                calls = [client.chat.completions.create(**CHAT.arguments) for _ in range(60)]
                return list(await asyncio.gather(*calls, return_exceptions=True))

    answers = asyncio.run(tasks())
    refused = [each for each in answers if isinstance(each, BudgetExceeded)]
    assert (len(answers) - len(refused), len(refused)) == (25, 35)
    assert len(provider.requests) == 25

    def refused_here(_: int) -> bool:
        with pytest.raises(BudgetExceeded):
            ask(provider)
        return True

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(refused_here, range(16)))
    assert len(provider.requests) == 25
