"""The example app, run as its README says: nothing but the environment makes it metered."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest

import simulated_provider
from saas.traffic import JOB_EVERY, drive, visits
from simulated_provider import SimulatedProvider

EXAMPLES = Path(simulated_provider.__file__).parent.parent
REQUESTS = 50


@contextmanager
def service(name: str, environ: Mapping[str, str], spans: Path) -> Generator[str]:
    """One of the two services under `opentelemetry-instrument`; its address."""
    argv = [
        str(Path(sys.executable).with_name("opentelemetry-instrument")),
        *(sys.executable, "-m", "uvicorn", f"saas.{name}:app", "--port", "0", "--no-access-log"),
    ]
    settings = {
        "PYTHONPATH": str(EXAMPLES),
        "OTEL_SERVICE_NAME": name,
        "OTEL_TRACES_EXPORTER": "console",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
    }
    with (
        spans.open("wb") as output,
        subprocess.Popen(
            argv,
            env={**os.environ, **settings, **environ},
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        assert process.stderr is not None
        try:
            yield address(process.stderr)
        finally:
            process.send_signal(signal.SIGINT)
            process.stderr.read()


def address(log: IO[str]) -> str:
    """Where uvicorn says that it runs."""
    said: list[str] = []
    for line in log:
        said.append(line)
        if (found := re.search(r"running on (http://\S+)", line)) is not None:
            return found[1]
    raise AssertionError("".join(said))


def calls_in(path: Path) -> list[dict[str, Any]]:
    """The attributes of each LLM call among the spans that the console exporter wrote."""
    decoder, text = json.JSONDecoder(), path.read_text()
    calls: list[dict[str, Any]] = []
    position = 0
    while (position := text.find("{", position)) >= 0:
        span, position = decoder.raw_decode(text, position)
        calls.append(span["attributes"])
    return [call for call in calls if "gen_ai.usage.input_tokens" in call]


@pytest.mark.slow
def test_the_environment_alone_makes_the_app_metered(tmp_path: Path) -> None:
    with SimulatedProvider() as provider:
        vendors = {
            "OPENAI_BASE_URL": provider.openai_base_url,
            "OPENAI_API_KEY": "any",
            "ANTHROPIC_BASE_URL": provider.url,
            "ANTHROPIC_API_KEY": "any",
        }
        with (
            service("assistant", vendors, tmp_path / "assistant") as assistant,
            service("gateway", {"ASSISTANT_URL": assistant}, tmp_path / "gateway") as gateway,
        ):
            outcomes = asyncio.run(drive(gateway, REQUESTS, seed=7, concurrency=8))
    calls = calls_in(tmp_path / "assistant")

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
