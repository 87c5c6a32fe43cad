"""A call without a tenant is known by the place in the application that made it."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
from openai import OpenAI

from simulated_provider import SimulatedProvider
from spanmeter.instrumentation import usage
from spanmeter.instrumentation.callsite import callsite
from spanmeter.metering import attributes as names
from unit.instrumentation.forms import CHAT
from unit.instrumentation.recording import Recorder, check_usage


def line() -> int:
    """The line of the caller."""
    return inspect.stack(context=0)[1].lineno


def test_it_is_relative_to_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(__file__).parents[1])
    assert callsite("openai") == f"instrumentation/test_callsite.py:{line()}"
    monkeypatch.chdir(tmp_path)
    assert callsite("openai") == f"{__file__}:{line()}"


def test_only_a_call_without_a_tenant_has_one(
    recorder: Recorder, provider: SimulatedProvider, openai_client: OpenAI
) -> None:
    openai_client.chat.completions.create(**CHAT.arguments)
    here = line() - 1
    with usage(tenant_id="acme"):
        openai_client.chat.completions.create(**CHAT.arguments)
    without, with_tenant = recorder.metered
    assert str(without[names.USAGE_CALLSITE]).endswith(f"instrumentation/test_callsite.py:{here}")
    assert names.TENANT_ID not in without
    assert names.USAGE_CALLSITE not in with_tenant


def test_a_working_directory_that_is_gone_costs_the_place_and_not_the_usage(
    recorder: Recorder,
    provider: SimulatedProvider,
    openai_client: OpenAI,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    tmp_path.rmdir()
    openai_client.chat.completions.create(**CHAT.arguments)
    assert recorder.only()[names.USAGE_CALLSITE] == "unknown"
    check_usage(recorder.only(), provider.served[0])
