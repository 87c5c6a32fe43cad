"""A process works for whoever started it, and a pool's for whoever asked it to, however it is started."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from spanmeter.instrumentation import current_usage, usage
from unit.instrumentation import working


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_process_works_for_whoever_asked_it_to(method: str) -> None:
    done = subprocess.run(
        [sys.executable, working.__file__, method],
        stdout=subprocess.PIPE,
        env={**os.environ, "OTEL_TRACES_EXPORTER": "none"},
        check=True,
        timeout=100,
    )
    said = json.loads(done.stdout)
    assert said["carried"] == "first"
    assert set(said["first"].values()) == {"first"}
    # Nor are a pool's processes those of its first user for ever.
    assert set(said["nobody"].values()) == {None}
    assert set(said["another"].values()) == {"another"}
    assert len(said["first"]) == 11


def test_a_function_that_is_carried_can_be_pickled_with_its_tenant_and_trace() -> None:
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("the application")
    with tracer.start_as_current_span("request") as span, usage(tenant_id="acme", feature="search"):
        packed = pickle.dumps(usage.carry(trace_and_tenant))
    assert current_usage() is None
    assert pickle.loads(packed)() == (span.get_span_context().trace_id, "acme", "search")  # noqa: S301 - our own
    assert current_usage() is None


def test_a_function_that_cannot_be_pickled_still_cannot() -> None:
    with usage(tenant_id="acme"):
        carried = usage.carry(lambda: None)
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(carried)


def test_a_tenant_travels_without_a_propagator_of_baggage(monkeypatch: pytest.MonkeyPatch) -> None:
    from opentelemetry import propagate
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    monkeypatch.setattr(propagate, "propagator", TraceContextTextMapPropagator())
    with usage(tenant_id="acme"):
        packed = pickle.dumps(usage.carry(working.who))
    assert pickle.loads(packed)() == "acme"  # noqa: S301 - our own


def trace_and_tenant() -> tuple[int, str, str | None]:
    found = current_usage()
    assert found is not None
    context = trace.get_current_span().get_span_context()
    return context.trace_id, found.tenant_id, found.feature
