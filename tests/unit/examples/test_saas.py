"""The example app, run as its README says: nothing but the environment makes it metered."""

import asyncio
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from saas.traffic import JOB_EVERY, drive, visits
from services import service, vendors
from simulated_provider import SimulatedProvider

REQUESTS = 50


def calls_in(path: Path) -> list[dict[str, Any]]:
    """The attributes of each LLM call among the spans that the console exporter wrote."""
    decoder, text = json.JSONDecoder(), path.read_text()
    calls: list[dict[str, Any]] = []
    position = 0
    while (position := text.find("{", position)) >= 0:
        span, position = decoder.raw_decode(text, position)
        calls.append(span["attributes"])
    return [call for call in calls if "gen_ai.usage.input_tokens" in call]


def as_many_as(count: int, path: Path) -> list[dict[str, Any]]:
    """The calls, once there are so many; a span that is being written is not there yet."""
    deadline = time.monotonic() + 60
    while True:
        try:
            calls = calls_in(path)
        except json.JSONDecodeError:
            calls = []
        if len(calls) >= count or time.monotonic() > deadline:
            return calls
        time.sleep(0.05)


@pytest.mark.slow
def test_the_environment_alone_makes_the_app_metered(tmp_path: Path) -> None:
    with SimulatedProvider() as provider:
        # SIGTERM ends the application's own tracing with what it holds: nothing waits in it for long.
        console = {"OTEL_TRACES_EXPORTER": "console", "OTEL_BSP_SCHEDULE_DELAY": "100"}
        inner, outer = console | vendors(provider), console.copy()
        with (
            service("assistant", inner, tmp_path / "assistant") as outer["ASSISTANT_URL"],
            service("gateway", outer, tmp_path / "gateway") as gateway,
        ):
            outcomes = asyncio.run(drive(gateway, REQUESTS, seed=7, concurrency=8))
            calls = as_many_as(len(provider.served), tmp_path / "assistant")

    assert outcomes == {"200": REQUESTS}
    assert calls_in(tmp_path / "gateway") == []
    assert len(calls) == len(provider.served) > REQUESTS
    assert sum(call["gen_ai.usage.input_tokens"] for call in calls) == sum(
        served.tokens.input for served in provider.served
    )
    each_call_has_the_tenant_and_the_feature_that_the_gateway_named(calls)
    a_job_of_nobody_is_told_by_its_line(calls)
    the_provider_learns_nothing_of_the_tenants(provider)


def each_call_has_the_tenant_and_the_feature_that_the_gateway_named(
    calls: list[dict[str, Any]],
) -> None:
    assert {call.get("tenant.id") for call in calls} == {"acme", "globex", "initech", None}
    trial = {call["tenant.id"] for call in calls if call.get("usage.account_type") == "trial"}
    assert trial == {"initech"}
    features = {call.get("usage.feature") for call in calls}
    assert features == {"summaries", "chat", "search", "reports", None}
    reports = [call for call in calls if call.get("usage.feature") == "reports"]
    wanted = [visit for visit in visits(REQUESTS, seed=7) if visit.path == "/reports"]
    keys = {call["usage.idempotency_key"] for call in reports}
    assert len(keys) == len(wanted) == len(reports) / 4
    assert {call["usage.action"] for call in reports} == {"report.generated"}


def a_job_of_nobody_is_told_by_its_line(calls: list[dict[str, Any]]) -> None:
    unattributed = [call for call in calls if "tenant.id" not in call]
    assert len(unattributed) == REQUESTS // JOB_EVERY
    assert all("assistant.py:" in call["usage.callsite"] for call in unattributed)


def the_provider_learns_nothing_of_the_tenants(provider: SimulatedProvider) -> None:
    for request in provider.requests:
        assert not re.search(rb"acme|globex|initech|user-\d|tenant|baggage", request.raw)


def test_the_same_seed_is_the_same_day() -> None:
    assert list(visits(100, seed=1)) == list(visits(100, seed=1))
    assert list(visits(100, seed=1)) != list(visits(100, seed=2))
