"""Nobody to be asked: calls go or are refused as laid down, and nobody waits for longer than that."""

# Tests look into what a process holds.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import asyncio
import http.server
import socket
import threading
import time
from collections.abc import Generator

import pytest

from integration.budgets.conftest import Laid, MakeGuard
from simulated_provider import SimulatedProvider
from spanmeter.collector_receiver.server import Collector
from spanmeter.instrumentation import BudgetExceeded, BudgetUnavailable, usage
from spanmeter.instrumentation.budgets.guard import Guard
from spanmeter.instrumentation.budgets.settings import BudgetSettings
from spanmeter.instrumentation.pipeline.destination import Destination
from tcp_proxy import Proxy
from unit.instrumentation.forms import CHAT, async_client_of, client_of
from unit.instrumentation.recording import Recorder

pytestmark = pytest.mark.timeout(120)

SLACK = 5.0
"""Seconds by which a busy machine may be late."""


def ask(provider: SimulatedProvider) -> None:
    with usage(tenant_id="acme"), client_of(CHAT, provider, max_retries=0) as client:
        client.chat.completions.create(**CHAT.arguments)


def at(address: str) -> Destination:
    return Destination.from_environ(
        {"SPANMETER_ENDPOINT": f"http://{address}", "SPANMETER_PROTOCOL": "http/protobuf"}
    )


@pytest.fixture
def nobody() -> Generator[Destination]:
    """An address that nobody listens at."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield at(f"127.0.0.1:{taken.getsockname()[1]}")


class _Sink(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Says nothing."""


@pytest.fixture
def another_collector() -> Generator[Destination]:
    """One that says yes to everything, and knows of no budgets."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Sink) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield at(f"127.0.0.1:{server.server_port}")
        server.shutdown()
        serving.join()


@pytest.mark.parametrize("where", ["nobody", "another_collector"])
def test_without_any_answer_the_default_holds(
    request: pytest.FixtureRequest,
    make_guard: MakeGuard,
    provider: SimulatedProvider,
    recorder: Recorder,
    where: str,
) -> None:
    destination = request.getfixturevalue(where)
    make_guard(destination, fails_closed=True)
    with pytest.raises(BudgetUnavailable, match="no collector answers"):
        ask(provider)
    assert provider.requests == []
    make_guard(destination)
    ask(provider)
    assert len(provider.requests) == 1


@pytest.fixture
def proxy(collector: Collector) -> Generator[Proxy]:
    assert collector.addresses.http is not None
    with Proxy(collector.addresses.http) as proxy:
        yield proxy


@pytest.mark.parametrize("fail", ["open", "closed"])
def test_a_silent_collector_holds_calls_up_no_longer_than_may_be(
    lay_down: Laid,
    make_guard: MakeGuard,
    provider: SimulatedProvider,
    recorder: Recorder,
    proxy: Proxy,
    fail: str,
) -> None:
    lay_down("acme", "1000", metric="requests", fail=fail)
    make_guard(at(proxy.address), timeout=20.0)
    ask(provider)
    guard = make_guard(at(proxy.address), timeout=20.0)
    # Known by name, without a lease: the first call gets none.
    guard.hurry()
    with guard.answered:
        assert guard.answered.wait_for(lambda: guard.policy is not None, 60)
    object.__setattr__(guard.settings, "timeout", 0.5)
    proxy.black_hole()
    began = time.monotonic()
    if fail == "open":
        ask(provider)
        assert len(provider.requests) == 2
    else:
        with pytest.raises(BudgetUnavailable) as caught:
            ask(provider)
        assert (caught.value.budget, caught.value.scope) == ("acme", "tenant.id acme")
        assert len(provider.requests) == 1
    assert time.monotonic() - began < 0.5 + SLACK
    proxy.heal()


def test_what_is_held_is_enough_while_the_collector_is_away(
    lay_down: Laid,
    make_guard: MakeGuard,
    provider: SimulatedProvider,
    recorder: Recorder,
    proxy: Proxy,
) -> None:
    lay_down("acme", "1000", metric="requests", fail="closed")
    guard = make_guard(at(proxy.address))
    ask(provider)
    (wallet,) = guard._wallets.values()
    # It is lent ahead what it used a moment ago.
    wallet.want_once(10**13)
    guard.hurry()
    before = guard.begun
    with guard.answered:
        assert guard.answered.wait_for(lambda: wallet.answered > before, 60)
    proxy.black_hole()
    for _ in range(5):
        ask(provider)
    assert len(provider.requests) == 6
    proxy.heal()


def test_a_loop_runs_on_while_a_task_waits(
    lay_down: Laid,
    make_guard: MakeGuard,
    provider: SimulatedProvider,
    recorder: Recorder,
    proxy: Proxy,
) -> None:
    lay_down("acme", "1000", metric="requests", fail="closed")
    guard = make_guard(at(proxy.address), timeout=1.0)
    proxy.hold_answers()
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0.01)

    async def call() -> None:
        ticking = asyncio.create_task(tick())
        async with async_client_of(CHAT, provider, max_retries=0) as client:
            with usage(tenant_id="acme"):
                await client.chat.completions.create(**CHAT.arguments)
        ticking.cancel()

    # Nothing is known yet of what is laid down, and then calls go.
    asyncio.run(call())
    assert ticks > 20
    assert len(provider.requests) == 1
    proxy.heal()
    with guard.answered:
        assert guard.answered.wait_for(lambda: guard.policy is not None, 60)


def test_a_collector_that_comes_back_is_heeded_again(
    lay_down: Laid,
    make_guard: MakeGuard,
    provider: SimulatedProvider,
    recorder: Recorder,
    proxy: Proxy,
) -> None:
    lay_down("acme", "0", metric="requests")
    proxy.break_connections()
    guard = make_guard(at(proxy.address), timeout=0.2)
    proxy.hold_answers()
    ask(provider)
    proxy.heal()
    object.__setattr__(guard.settings, "timeout", 30.0)
    with guard.answered:
        assert guard.answered.wait_for(lambda: guard.policy is not None and not guard.failed_at, 60)
    with pytest.raises(BudgetExceeded):
        ask(provider)
    assert len(provider.requests) == 1


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, (False, 1.0)),
        ({"SPANMETER_BUDGET_FAIL": "closed", "SPANMETER_BUDGET_TIMEOUT": "2.5"}, (True, 2.5)),
        ({"SPANMETER_BUDGET_FAIL": "half", "SPANMETER_BUDGET_TIMEOUT": "ages"}, (False, 1.0)),
        ({"SPANMETER_BUDGETS": "off"}, None),
    ],
)
def test_settings(
    nobody: Destination, environ: dict[str, str], expected: tuple[bool, float] | None
) -> None:
    found = BudgetSettings.from_environ(environ, nobody)
    assert (found and (found.fails_closed, found.timeout)) == expected
    assert BudgetSettings.from_environ(environ, "there is no collector") is None


def test_a_forked_child_holds_nothing_of_its_parents(guarding: Guard) -> None:
    holder, policy = guarding._holder, guarding.policy
    guarding.after_fork()
    assert guarding._holder != holder
    assert guarding.policy is policy
    assert guarding._wallets == {}
