"""Metering switched on and off by hand, for applications that do not run under
`opentelemetry-instrument`."""

from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from opentelemetry.trace import TracerProvider

from spanmeter.instrumentation.guard import guarded
from spanmeter.metering.attributes import SCOPE_PREFIX

_PREFIX = SCOPE_PREFIX.removesuffix(".") + "-"


def instrument(*, tracer_provider: TracerProvider | None = None) -> None:
    """Meters every supported client library from now on, imported already or not. A second call
    does nothing.

    Spans go to `tracer_provider`, by default the global one.
    """
    for instrumentor in _instrumentors():
        if not instrumentor.is_instrumented_by_opentelemetry:
            guarded(instrumentor.instrument)(tracer_provider=tracer_provider)


def uninstrument() -> None:
    """Lets calls pass unmetered again."""
    for instrumentor in _instrumentors():
        if instrumentor.is_instrumented_by_opentelemetry:
            instrumentor.uninstrument()


def _instrumentors() -> Iterable[Any]:
    """Ours, by their entry points: the same list that `opentelemetry-instrument` loads."""
    for entry_point in entry_points(group="opentelemetry_instrumentor"):
        if entry_point.name.startswith(_PREFIX) and (instrumentor := _loaded(entry_point)):
            yield instrumentor


@guarded
def _loaded(entry_point: EntryPoint) -> Any:
    """One that cannot be loaded must not keep the others from it."""
    return entry_point.load()()
