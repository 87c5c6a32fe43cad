"""The metered call: one call of a client library's method, made of one or more attempts."""

from typing import Final, cast

from opentelemetry.context import Context, create_key, get_value, set_value
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanKind,
    Tracer,
    get_current_span,
    set_span_in_context,
)

from spanmeter.instrumentation.attempt import Attempt, first_seen
from spanmeter.instrumentation.endpoint import Endpoint, Json, Reading
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
        "body",
        "context",
        "endpoint",
        "hides_usage",
        "http_client",
        "model",
        "provider",
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
        body: Json,
    ) -> None:
        self._tracer = tracer
        self._current: Attempt | None = None
        self.body = body
        self.endpoint = endpoint
        self.model = model
        self.provider = provider
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

    def attempt(self) -> Attempt:
        """Begins an attempt. One that is still open was given up by the client library, which sends
        anew."""
        if self._current is not None:
            self._current.end(error_type=names.CANCELLED)
        self.attempts += 1
        span = self._span() or self._no_span()
        self._current = Attempt(
            span, self.endpoint, self.provider, self.model, self.body, self.result
        )
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

    def result(self, reading: Reading) -> None:
        """Records a call that another's answer tells of: one of many that were made together, whose
        results have come in one file, or another model's part in it."""
        if not first_seen(self.provider, reading.response_id):
            return
        operation = reading.operation or names.CHAT
        attributes = {**self._attributes, names.OPERATION_NAME: operation}
        if self.model is not None and reading.model is not None:
            attributes[names.REQUEST_MODEL] = reading.model
        span = self._tracer.start_span(
            f"{operation} {reading.model or ''}".rstrip(),
            context=self.context,
            kind=SpanKind.CLIENT,
            attributes=attributes,
        )
        endpoint = self.endpoint._replace(fetches=False)
        attempt = Attempt(span, endpoint, self.provider, None, {}, self.result)
        attempt.took(reading)
        attempt.end()

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


def current_call() -> Call | None:
    """The call in whose course this code runs, if any."""
    return cast("Call | None", get_value(_CALL))


@guarded
def sending_context(attempt: Attempt) -> Context:
    """The context to send an attempt's request in: the HTTP client's own span is a child of the
    attempt's, and requests that are made on the way (authentication, hooks) are no attempts."""
    return set_value(_CALL, None, set_span_in_context(attempt.span))
