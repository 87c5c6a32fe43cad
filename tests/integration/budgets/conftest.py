"""A collector, and a guard of budgets in this process that asks it; calls go to the simulated provider."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack
from decimal import Decimal
from typing import Any

import pytest

from simulated_provider import SimulatedProvider
from spanmeter.collector_receiver import CollectorSettings
from spanmeter.collector_receiver.server import Collector
from spanmeter.instrumentation import guard as failures
from spanmeter.instrumentation.budgets import admitting
from spanmeter.instrumentation.budgets.guard import Guard
from spanmeter.instrumentation.budgets.settings import BudgetSettings
from spanmeter.instrumentation.pipeline.destination import Destination
from spanmeter.metering.budgets.budget import Budget
from spanmeter.storage.budgets import set_budget
from spanmeter.storage.connection import connect
from unit.instrumentation.recording import Recorder

Laid = Callable[..., None]
MakeGuard = Callable[..., Guard]


@pytest.fixture
def collector(plain_dsn: str) -> Generator[Collector]:
    settings = CollectorSettings(
        dsn=plain_dsn, grpc="127.0.0.1:0", http="127.0.0.1:0", grace=1, seal_after=None, handlers=16
    )
    with Collector(settings) as running:
        yield running


def destination_of(collector: Collector, protocol: str) -> Destination:
    """As SPANMETER_ENDPOINT names it."""
    addresses = collector.addresses
    address = addresses.grpc if protocol == "grpc" else addresses.http
    environ = {"SPANMETER_ENDPOINT": f"http://{address}", "SPANMETER_PROTOCOL": protocol}
    return Destination.from_environ(environ)


@pytest.fixture
def make_guard(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> Generator[MakeGuard]:
    """Has the calls of this process go by a guard, by default one that asks the collector over HTTP."""
    with ExitStack() as ending:

        def make(
            destination: Destination | None = None, protocol: str = "http/protobuf", **given: Any
        ) -> Guard:
            found = destination or destination_of(collector, protocol)
            # A busy machine's patience.
            settings: dict[str, Any] = {"timeout": 20.0, "service": "tests", **given}
            guard = Guard(BudgetSettings(destination=found, **settings))
            monkeypatch.setattr(admitting, "shared", lambda: guard)
            ending.callback(guard.shutdown)
            return guard

        yield make


@pytest.fixture
def guarding(make_guard: MakeGuard) -> Guard:
    return make_guard()


@pytest.fixture
def lay_down(plain_dsn: str) -> Laid:
    """Put a budget in force: `lay_down("name", limit="1", scope={...}, ...)`."""

    def lay_down(name: str, limit: str, **members: Any) -> None:
        scope = members.pop("scope", {"tenant.id": "acme"})
        with connect(plain_dsn) as connection:
            set_budget(
                connection, Budget(name=name, limit=Decimal(limit), scope=scope, **members), "test"
            )

    return lay_down


@pytest.fixture(scope="session")
def running_provider() -> Generator[SimulatedProvider]:
    with SimulatedProvider(deployments={"chat-eu": "gpt-4o-mini"}) as provider:
        yield provider


@pytest.fixture
def provider(running_provider: SimulatedProvider) -> SimulatedProvider:
    """A provider that has seen nothing yet."""
    running_provider.reset()
    return running_provider


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Generator[Recorder]:
    """The spans of this test's calls; a fault of ours fails the test."""
    faults: list[BaseException] = []

    def report(where: str, exc: BaseException) -> None:
        faults.append(exc)

    monkeypatch.setattr(failures, "report", report)
    recorder = Recorder()
    recorder.start()
    yield recorder
    recorder.stop()
    recorder.tracer_provider.shutdown()
    assert faults == []
