"""Metering switched on and off by hand, for applications that do not run under
`opentelemetry-instrument`."""

from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from opentelemetry.trace import TracerProvider

from spanmeter.instrumentation.guard import guarded
from spanmeter.instrumentation.harvest.attaching import harvest, stop_harvest
from spanmeter.instrumentation.installed import Coverage
from spanmeter.instrumentation.recording import records
from spanmeter.metering.attributes import SCOPE_PREFIX

_PREFIX = SCOPE_PREFIX.removesuffix(".") + "-"


def instrument(*, tracer_provider: TracerProvider | None = None) -> None:
    """Meters every supported client library from now on, imported already or not. A second call
    does nothing.

    Spans go to `tracer_provider`, by default the global one.
    """
    records.tracer_provider = tracer_provider or records.tracer_provider
    harvest(tracer_provider)
    for instrumentor in _instrumentors():
        if not instrumentor.is_instrumented_by_opentelemetry:
            guarded(instrumentor.instrument)(tracer_provider=tracer_provider)


def uninstrument() -> None:
    """Lets calls pass unmetered again. What is recorded by hand goes to the global provider."""
    records.tracer_provider = None
    stop_harvest()
    for instrumentor in _instrumentors():
        if instrumentor.is_instrumented_by_opentelemetry:
            instrumentor.uninstrument()


def coverage() -> list[Coverage]:
    """Whether the calls of each supported client library that is installed are metered.

    What is amiss is logged as well, once, when metering is switched on or the library imported.
    """
    return [each for instrumentor in _instrumentors() for each in instrumentor.coverage()]


def _instrumentors() -> Iterable[Any]:
    """Ours, by their entry points: the same list that `opentelemetry-instrument` loads."""
    for entry_point in entry_points(group="opentelemetry_instrumentor"):
        if entry_point.name.startswith(_PREFIX):
            instrumentor = _loaded(entry_point)
            if instrumentor is not None:
                yield instrumentor


@guarded
def _loaded(entry_point: EntryPoint) -> Any:
    """The instrumentor; none where it fails, so that the others do their work."""
    return entry_point.load()()
