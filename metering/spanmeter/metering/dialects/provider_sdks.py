"""Providers' own tracing: Anthropic's SDKs, on unless told otherwise, and Mistral's.

Source: anthropic 2.11 (`anthropic/_tracing.py`), mistralai 3.7 (`mistralai/extra/observability/otel.py`).
"""

from dataclasses import replace

from spanmeter.metering.dialects.opentelemetry import OPENTELEMETRY

ANTHROPIC_SDK = replace(
    OPENTELEMETRY,
    name="anthropic",
    # Of Python, TypeScript and whatever else there will be.
    scopes=("com.anthropic.sdk.", "@anthropic-ai/"),
)

MISTRAL_SDK = replace(OPENTELEMETRY, name="mistral", scopes=("mistralai_sdk_tracer",))
