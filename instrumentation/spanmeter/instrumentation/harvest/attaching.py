"""Which tracer providers' spans are looked at: the application's, whenever it sets it."""

import gc
import logging
import os
from collections.abc import Callable, Iterator
from typing import Any, Final
from weakref import WeakKeyDictionary

import wrapt
from opentelemetry import trace
from opentelemetry.sdk.trace import Tracer, TracerProvider

from spanmeter.instrumentation.guard import guarded
from spanmeter.instrumentation.harvest.processor import Harvester
from spanmeter.instrumentation.harvest.recognising import is_about_models, is_own
from spanmeter.instrumentation.harvest.sampling import RecordingSampler
from spanmeter.instrumentation.pipeline.shared import shared

HARVEST: Final = "SPANMETER_HARVEST"
"""`genai` (the default): the spans of others that tell of the use of models are metered. `off`: only our
own records are."""

_logger: Final = logging.getLogger(__name__)
_harvesters: Final[WeakKeyDictionary[Any, Harvester]] = WeakKeyDictionary()
_following: Final[list[str]] = []


@guarded
def harvest(tracer_provider: trace.TracerProvider | None = None) -> None:
    """Meters what spans of others tell, from now on: those of `tracer_provider`, by default of the global
    one, now or when it is set."""
    if not _is_wanted():
        return
    if tracer_provider is None:
        _follow()
        tracer_provider = _global_provider()
    if tracer_provider is not None:
        _attach(tracer_provider)


def _is_wanted() -> bool:
    word = os.environ.get(HARVEST, "").strip().lower()
    if word not in {"", "genai", "off"}:
        _logger.error("%s=%r is none of genai and off, and not heeded", HARVEST, word)
    return word != "off"


def stop_harvest() -> None:
    """Lets the spans of others be."""
    for harvester in _harvesters.values():
        harvester.on = False


def _global_provider() -> trace.TracerProvider | None:
    """The application's provider. To ask OpenTelemetry makes one where the environment names one."""
    provider = trace.get_tracer_provider()
    return None if isinstance(provider, trace.ProxyTracerProvider) else provider


def _follow() -> None:
    """Has every provider that becomes the global one looked at."""
    if not _following:
        # What both the function that everybody has imported already and the environment's way go through.
        name = "_set_tracer_provider"
        _following.append(name if hasattr(trace, name) else "set_tracer_provider")
        wrapt.wrap_function_wrapper(trace, _following[0], _set)


def _set(
    wrapped: Callable[..., None], instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    wrapped(*args, **kwargs)
    _attach_global()


@guarded
def _attach_global() -> None:
    provider = _global_provider()
    if provider is not None:
        _attach(provider)


def _attach(provider: Any) -> None:
    if (harvester := _harvesters.get(provider)) is not None:
        harvester.on = True
    elif hasattr(provider, "add_span_processor"):
        _harvesters[provider] = harvester = Harvester(shared())
        provider.add_span_processor(harvester)
        if harvester.pipeline is not None and isinstance(provider, TracerProvider):
            _sample(provider, harvester)


def _sample(provider: TracerProvider, harvester: Harvester) -> None:
    """Has the tracers of a provider record what is about models, those made so far included."""

    def covered(wrapped: Callable[..., Any], _: object, args: Any, kwargs: Any) -> Any:
        tracer = wrapped(*args, **kwargs)
        _cover(tracer, harvester)
        return tracer

    for tracer in _tracers(provider):
        _cover(tracer, harvester)
    wrapt.wrap_function_wrapper(provider, "get_tracer", covered)


def _tracers(provider: TracerProvider) -> Iterator[Tracer]:
    known = getattr(provider, "_tracers", None)
    if known is not None:
        yield from tuple(known.values())
        return
    # Older releases of the SDK keep no account of them. Only the type is looked at: other people's
    # objects may do anything when they are asked for their class.
    processor = getattr(provider, "_active_span_processor", None)
    for each in gc.get_objects():
        if type(each) is Tracer and each.span_processor is processor:
            yield each


@guarded
def _cover(tracer: object, harvester: Harvester) -> None:
    """Has one tracer record what is about models."""
    if not isinstance(tracer, Tracer) or isinstance(tracer.sampler, RecordingSampler):
        return
    scope = tracer.instrumentation_info.name
    if not is_own(scope):
        tracer.sampler = RecordingSampler(
            tracer.sampler, harvester.is_on, about_models=is_about_models(scope)
        )
