"""Sessions over a websocket: each response that is asked for is checked, not only the opening."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from openai import AsyncOpenAI, OpenAI

from integration.budgets.conftest import Laid, MakeGuard
from simulated_provider import SimulatedProvider
from spanmeter.instrumentation import BudgetExceeded, usage
from unit.instrumentation.recording import Recorder

pytestmark = pytest.mark.timeout(120)

UsedUp = Callable[[], None]


def speak(provider: SimulatedProvider, used_up: UsedUp) -> None:
    url = provider.openai_base_url
    with (
        OpenAI(api_key="any", base_url=url, websocket_base_url=url.replace("http", "ws")) as client,
        client.realtime.connect(model="gpt-realtime") as connection,
    ):
        connection.response.create()
        while connection.recv().type != "response.done":
            pass
        used_up()
        connection.response.create()


def speak_async(provider: SimulatedProvider, used_up: UsedUp) -> None:
    url = provider.openai_base_url

    async def spoken() -> None:
        async with (
            AsyncOpenAI(
                api_key="any", base_url=url, websocket_base_url=url.replace("http", "ws")
            ) as client,
            client.realtime.connect(model="gpt-realtime") as connection,
        ):
            await connection.response.create()
            while (await connection.recv()).type != "response.done":
                pass
            await asyncio.to_thread(used_up)
            await connection.response.create()

    asyncio.run(spoken())


@pytest.mark.parametrize("speaking", [speak, speak_async])
def test_no_response_is_asked_for_where_nothing_is_left(
    lay_down: Laid,
    make_guard: MakeGuard,
    provider: SimulatedProvider,
    recorder: Recorder,
    speaking: Callable[[SimulatedProvider, UsedUp], None],
) -> None:
    lay_down("acme", "5", metric="requests")
    guard = make_guard()

    def used_up() -> None:
        guard.shutdown()
        lay_down("acme", "0", metric="requests")
        make_guard()

    with pytest.raises(BudgetExceeded), usage(tenant_id="acme"):
        speaking(provider, used_up)
    assert len(recorder.metered) == 1
