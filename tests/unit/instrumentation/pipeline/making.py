"""Pipelines and records for tests."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from opentelemetry.sdk.resources import Resource

from spanmeter.instrumentation.pipeline import Pipeline, PipelineSettings

CALL = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.usage.input_tokens": 1000,
    "tenant.id": "acme",
}

SERVICE = {"service.name": "answers"}

_ids = itertools.count(1)


def pipeline(
    spool: Path, endpoint: str = "", resource: Mapping[str, str] = SERVICE, **environ: str
) -> Pipeline:
    """A pipeline to the endpoint, which is of gRPC unless `SPANMETER_PROTOCOL` says otherwise."""
    settings = PipelineSettings.from_environ(
        {
            "SPANMETER_SPOOL": str(spool),
            # Nobody listens on port 9.
            "SPANMETER_ENDPOINT": endpoint or "http://127.0.0.1:9",
            "SPANMETER_EXIT_TIMEOUT": "10",
            "SPANMETER_HANDLE_SIGTERM": "false",
            **environ,
        }
    )
    return Pipeline(settings, Resource(dict(resource)))


def record(into: Pipeline, attributes: dict[str, Any] | None = None, **fields: Any) -> int:
    """Records one call; its span id."""
    span_id = next(_ids)
    now = time.time_ns()
    call: dict[str, Any] = {
        "scope_name": "spanmeter.openai",
        "scope_version": "1",
        "name": "chat gpt-4o",
        "trace_id": span_id,
        "span_id": span_id,
        "start_ns": now - 1_000_000,
        "end_ns": now,
        "attributes": {**CALL, **(attributes or {})},
        **fields,
    }
    into.record(**call)
    return span_id
