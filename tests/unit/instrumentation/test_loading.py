"""Metering is switched on by environment variables or one call, before or after the SDK is imported."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from openai import OpenAI

from simulated_provider import SimulatedProvider
from spanmeter.instrumentation import instrument
from unit.instrumentation.forms import CHAT
from unit.instrumentation.recording import Recorder, check_usage

# An application that knows nothing of spanmeter.
APPLICATION = """
import anthropic, openai
openai.OpenAI(api_key="any").chat.completions.create(
    model="gpt-4o-mini", messages=[{"role": "user", "content": "How?"}])
anthropic.Anthropic(api_key="any").messages.create(
    model="claude-haiku-4-5", max_tokens=9, messages=[{"role": "user", "content": "How?"}])
"""

# The same, switching metering on itself at one point or another.
BY_HAND = (
    """
import FIRST
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
from spanmeter.instrumentation import instrument
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter()))
trace.set_tracer_provider(provider)
instrument()
instrument()
"""
    + APPLICATION
)

NAMES = ('"name": "chat gpt-4o-mini"', '"name": "chat claude-haiku-4-5"')


def run(
    program: list[str], provider: SimulatedProvider, tmp_path: Path, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Runs a program as an operator would, with settings from the environment alone."""
    environment: Mapping[str, str] = {
        **os.environ,
        "OPENAI_BASE_URL": provider.openai_base_url,
        "ANTHROPIC_BASE_URL": provider.url,
        "OTEL_TRACES_EXPORTER": "console",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        **variables,
    }
    return subprocess.run(
        program, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )


def metered(ran: subprocess.CompletedProcess[str]) -> list[int]:
    """How many spans of each SDK there are, of a program that went well."""
    assert ran.returncode == 0, ran.stderr
    assert "Traceback" not in ran.stderr
    return [ran.stdout.count(name) for name in NAMES]


@pytest.mark.parametrize(
    ("disabled", "expected"),
    [
        ("", [1, 1]),
        ("spanmeter-openai", [0, 1]),
        ("openai,anthropic", [1, 1]),  # the names of others
    ],
)
def test_opentelemetry_instrument_needs_only_the_environment(
    provider: SimulatedProvider, tmp_path: Path, disabled: str, expected: list[int]
) -> None:
    command = str(Path(sys.executable).with_name("opentelemetry-instrument"))
    application = tmp_path / "application.py"
    application.write_text(APPLICATION)
    ran = run(
        [command, sys.executable, str(application)],
        provider,
        tmp_path,
        OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=disabled,
        ANTHROPIC_OPEN_TELEMETRY="false",
    )
    assert metered(ran) == expected
    assert len(provider.served) == 2
    if expected[0]:
        # Without a tenant the call is known by its place.
        assert '"usage.callsite": "application.py:3"' in ran.stdout


@pytest.mark.parametrize("first", ["openai, anthropic", "json"], ids=["before", "after"])
def test_one_call_switches_it_on(provider: SimulatedProvider, tmp_path: Path, first: str) -> None:
    ran = run([sys.executable, "-c", BY_HAND.replace("FIRST", first)], provider, tmp_path)
    assert metered(ran) == [1, 1]


def test_without_the_sdks_nothing_is_missed(provider: SimulatedProvider, tmp_path: Path) -> None:
    program = """
import sys
for name in ("openai", "anthropic", "httpx", "httpx2", "grpc", "psycopg"):
    sys.modules[name] = None
from spanmeter.instrumentation import instrument, uninstrument, usage
instrument()
with usage(tenant_id="acme"):
    pass
uninstrument()
"""
    ran = run([sys.executable, "-W", "error", "-c", program], provider, tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")


def test_switching_on_twice_meters_once(
    recorder: Recorder, provider: SimulatedProvider, openai_client: OpenAI
) -> None:
    instrument(tracer_provider=Recorder().tracer_provider)
    openai_client.chat.completions.create(**CHAT.arguments)
    check_usage(recorder.only(), provider.served[0])


def test_switched_off_calls_pass_and_switched_on_again_are_metered_once(
    recorder: Recorder, provider: SimulatedProvider, openai_client: OpenAI
) -> None:
    recorder.stop()
    recorder.stop()
    openai_client.chat.completions.create(**CHAT.arguments)
    assert recorder.spans == []
    recorder.start()
    openai_client.chat.completions.create(**CHAT.arguments)
    check_usage(recorder.only(), provider.served[1])


def test_a_stream_outlives_the_switching_off(
    recorder: Recorder, provider: SimulatedProvider, openai_client: OpenAI
) -> None:
    stream = openai_client.chat.completions.create(**CHAT.arguments, stream=True)
    recorder.stop()
    assert all(chunk.choices for chunk in stream)
    check_usage(recorder.only(), provider.served[0])
