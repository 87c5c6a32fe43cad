"""The application's own tracing, and who else makes spans of the calls that are metered."""

import os
from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points
from typing import Final

from opentelemetry.sdk.environment_variables import (
    OTEL_ATTRIBUTE_COUNT_LIMIT,
    OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT,
    OTEL_SDK_DISABLED,
    OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT,
    OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT,
    OTEL_TRACES_SAMPLER,
)
from opentelemetry.sdk.resources import SERVICE_NAME, Resource

from spanmeter.instrumentation.doctor.finding import Finding
from spanmeter.instrumentation.doctor.libraries import DISABLED, disabled
from spanmeter.instrumentation.installed import exists, installed_version

_LIMITS: Final = (
    OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT,
    OTEL_ATTRIBUTE_COUNT_LIMIT,
    OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT,
    OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT,
)
_OTHERS: Final = {
    "anthropic": "anthropic",
    "bedrock": "botocore",
    "cohere": "cohere",
    "google_genai": "google-genai",
    "google_generativeai": "google-genai",
    "google-genai": "google-genai",
    "groq": "groq",
    "litellm": "litellm",
    "mistralai": "mistralai",
    "ollama": "ollama",
    "openai": "openai",
    "openai_v2": "openai",
    "together": "together",
}
"""What others call their instrumentations, and the library that each is for."""

_TRACES_ITSELF: Final = {
    "anthropic": ("anthropic._tracing", "ANTHROPIC_OPEN_TELEMETRY", {"false"}),
    "mistralai": ("mistralai.extra.observability", "MISTRAL_SDK_TELEMETRY", {"", "false"}),
}
"""Libraries with tracing of their own: where it is, and the variable and values that switch it off."""


def examine() -> Iterator[Finding]:
    """Looks at the settings of OpenTelemetry's SDK and at the instrumentations that are installed."""
    yield _service_name()
    yield from _sdk()
    yield from _tracing_of_libraries()
    yield from _others()


def _service_name() -> Finding:
    name = str(Resource.create().attributes.get(SERVICE_NAME, ""))
    if name.startswith("unknown_service"):
        return Finding("service", "warning", "it has no name", "set OTEL_SERVICE_NAME")
    return Finding("service", "ok", name)


def _sdk() -> Iterator[Finding]:
    """None of this is in the way of metering, whose records have a pipeline of their own."""
    unaffected = "metering is not affected"
    if os.environ.get(OTEL_SDK_DISABLED, "").strip().lower() == "true":
        what = f"{OTEL_SDK_DISABLED}=true: the application makes no traces; {unaffected}"
        yield Finding("tracing", "ok", what)
    sampler = os.environ.get(OTEL_TRACES_SAMPLER)
    yield Finding("sampler", "ok", f"{sampler or 'parentbased_always_on'}; {unaffected}")
    for limit in _LIMITS:
        if os.environ.get(limit):
            yield Finding("limits", "ok", f"{limit}={os.environ[limit]}; {unaffected}")


def _tracing_of_libraries() -> Iterator[Finding]:
    for package, (module, variable, off) in _TRACES_ITSELF.items():
        if installed_version(package) is None or not exists(module):
            continue
        value = os.environ.get(variable, "").strip().lower()
        if value in off:
            yield Finding(package, "ok", "its own tracing is off")
        else:
            what = "traces itself; silenced for calls that spanmeter meters"
            yield Finding(package, "ok", what)


def _others() -> Iterator[Finding]:
    switched_off = disabled()
    for entry_point in entry_points(group="opentelemetry_instrumentor"):
        library = _OTHERS.get(entry_point.name)
        if library is None or installed_version(library) is None:
            continue
        subject = f"{entry_point.name} of {_distribution(entry_point)}"
        if switched_off & {"*", entry_point.name}:
            yield Finding(subject, "ok", "switched off")
        else:
            what = f"makes a second span of each call of {library}; the call is counted once"
            to_do = f"if you do not need it: {DISABLED}={entry_point.name}"
            yield Finding(subject, "warning", what, to_do)


def _distribution(entry_point: EntryPoint) -> str:
    return entry_point.dist.name if entry_point.dist is not None else entry_point.value
