"""The metered call: one call of a client library's method, made of one or more attempts."""

import asyncio
import json
import time
from typing import Final, cast

from opentelemetry.context import Context, create_key, get_value, set_value
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanKind,
    StatusCode,
    Tracer,
    get_current_span,
    set_span_in_context,
)

from spanmeter.instrumentation.endpoint import Endpoint, Reading
from spanmeter.instrumentation.guard import guarded
from spanmeter.instrumentation.identity import Identity, set_aside
from spanmeter.metering import attributes as names

_CALL: Final = create_key("spanmeter-call")


class Call:
    """A call in progress. Each request that the client library sends for it is an attempt, and a
    span.

    `context` is the application's own, in which the call was made. `http_client` is the object that
    sends the library's requests: requests of any other, made in the meantime, are none of this
    call's. `hides_usage` is whether the usage event of its stream was asked for by us.
    """

    __slots__ = (
        "_attributes",
        "_current",
        "_tracer",
        "attempts",
        "context",
        "endpoint",
        "hides_usage",
        "http_client",
        "model",
    )

    def __init__(
        self,
        *,
        tracer: Tracer,
        endpoint: Endpoint,
        provider: str,
        model: str | None,
        identity: Identity,
        context: Context,
        http_client: object,
        further: dict[str, str | int | bool],
    ) -> None:
        self._tracer = tracer
        self._current: Attempt | None = None
        self.endpoint = endpoint
        self.model = model
        self.context = context
        self.http_client = http_client
        self.hides_usage = False
        self.attempts = 0
        self._attributes: dict[str, str | int | bool] = {
            names.OPERATION_NAME: endpoint.operation,
            names.PROVIDER_NAME: provider,
            **further,
            **identity,
        }
        if model is not None:
            self._attributes[names.REQUEST_MODEL] = model

    def provider_context(self) -> Context:
        """The context to call the provider in: this call is current, and no identity is in its
        baggage."""
        return set_value(_CALL, self, set_aside(self.context))

    def attempt(self) -> "Attempt":
        """Begins an attempt. One that is still open was given up by the client library, which sends
        anew."""
        if self._current is not None:
            self._current.end(error_type=names.CANCELLED)
        self.attempts += 1
        self._current = Attempt(self._span() or self._no_span(), self.endpoint)
        return self._current

    @guarded
    def _span(self) -> Span:
        name = self.endpoint.operation
        return self._tracer.start_span(
            name if self.model is None else f"{name} {self.model}",
            context=self.context,
            kind=SpanKind.CLIENT,
            attributes={**self._attributes, names.USAGE_ATTEMPT: self.attempts},
        )

    def _no_span(self) -> Span:
        """Stands in where no span could be made: the response must be watched all the same, for
        what is to be hidden in it."""
        return NonRecordingSpan(get_current_span(self.context).get_span_context())

    @guarded
    def returned(self) -> None:
        """The library's method has returned. Attempts end on their own; a call without any is one
        record still."""
        if self.attempts == 0:
            self.attempt().end()

    @guarded
    def raised(self, exc: BaseException) -> None:
        """The library's method has raised: what is still open ends with it."""
        attempt = self._current if self._current is not None else self.attempt()
        attempt.failed(exc)


class Attempt:
    """One request to a provider, and its span. However it ends, it ends once."""

    __slots__ = ("_endpoint", "_last", "_reading", "_started", "_unended", "_usage", "span")

    def __init__(self, span: Span, endpoint: Endpoint) -> None:
        self.span = span
        self._endpoint = endpoint
        self._started = time.perf_counter()
        self._reading = Reading()
        self._usage: dict[str, object] = {}
        self._last = False
        # Taking the one item out is atomic, so that two threads cannot both end an attempt.
        self._unended = [True]

    def took(self, reading: Reading) -> None:
        """Adds what a body or an event said. What comes later overrides, and keeps what it does not
        mention."""
        known = self._reading
        self._reading = Reading(
            response_id=reading.response_id or known.response_id,
            model=reading.model or known.model,
            service_tier=reading.service_tier or known.service_tier,
            error=reading.error or known.error,
            last=reading.last or known.last,
        )
        if reading.usage:
            self._usage.update(
                (name, value) for name, value in reading.usage.items() if value is not None
            )

    @guarded
    def sending_context(self) -> Context:
        """The context to send the request in: the HTTP client's own span is a child of the
        attempt's, and requests that are made on the way (authentication, hooks) are no attempts."""
        return set_value(_CALL, None, set_span_in_context(self.span))

    @guarded
    def first_chunk(self) -> None:
        """The first bytes of a stream have come."""
        self.span.set_attribute(names.TIME_TO_FIRST_CHUNK, time.perf_counter() - self._started)

    @guarded
    def failed(self, exc: BaseException) -> None:
        """Ends the attempt with an exception of the transport or of the application."""
        self.end(error_type=error_type(exc))

    @guarded
    def closed(self) -> None:
        """Ends the attempt of a stream that nobody reads on: finished if its last event had come, or
        failed if that told of an error, else cancelled."""
        told = self._reading.last or self._reading.error is not None
        self.end(error_type=None if told else names.CANCELLED)

    @guarded
    def end(self, *, error_type: str | None = None, status_code: int | None = None) -> None:
        """Ends the attempt; a second end is none."""
        try:
            self._unended.pop()
        except IndexError:
            return
        try:
            self._describe(error_type or self._reading.error, status_code)
        finally:
            self.span.end()

    def _describe(self, error_type: str | None, status_code: int | None) -> None:
        reading = self._reading
        attributes: dict[str, str | int] = {}
        if status_code is not None:
            attributes[names.HTTP_RESPONSE_STATUS_CODE] = status_code
        if error_type is not None:
            attributes[names.ERROR_TYPE] = error_type
            if error_type != names.CANCELLED:
                self.span.set_status(StatusCode.ERROR)
        if reading.response_id:
            attributes[names.RESPONSE_ID] = reading.response_id
        if reading.model:
            attributes[names.RESPONSE_MODEL] = reading.model
        if reading.service_tier:
            attributes[names.USAGE_SERVICE_TIER] = reading.service_tier
        if self._usage:
            attributes.update(self._endpoint.attributes(self._usage))
            # A stream cut short has told what it was sent, and only part of what it would have
            # counted.
            attributes[names.USAGE_SOURCE] = (
                names.SOURCE_PROVIDER if error_type is None else names.SOURCE_ESTIMATE
            )
            attributes[names.USAGE_RAW] = json.dumps(self._usage, separators=(",", ":"))
        self.span.set_attributes(attributes)


def current_call() -> Call | None:
    """The call in whose course this code runs, if any."""
    return cast("Call | None", get_value(_CALL))


def error_type(exc: BaseException) -> str:
    """An exception in OpenTelemetry's terms: `timeout`, `cancelled`, or the name of its class."""
    if isinstance(exc, (asyncio.CancelledError, GeneratorExit, KeyboardInterrupt)):
        return names.CANCELLED
    cls = type(exc)
    if isinstance(exc, TimeoutError) or "Timeout" in cls.__name__:
        return names.TIMEOUT
    return (
        cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"
    )
