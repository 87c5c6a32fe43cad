"""The attempt: one request to a provider, what came back of it, and its span."""

import asyncio
import json
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Final

from opentelemetry.trace import Span, StatusCode

from spanmeter.instrumentation.endpoint import Attributes, Endpoint, Json, Reading, no_texts
from spanmeter.instrumentation.estimating import estimated
from spanmeter.instrumentation.guard import guarded
from spanmeter.metering import attributes as names

MAX_REMEMBERED: Final = 10_000
"""Response ids kept to tell a response that is fetched again. Polling a background response takes
minutes."""

NOTHING: Final = Reading()

_encode: Final = json.JSONEncoder(separators=(",", ":"), default=str).encode


class Attempt:
    """One request to a provider, and its span. However it ends, it ends once.

    `record` records what the answer says of uses beside its own.
    """

    __slots__ = (
        "_accepted",
        "_body",
        "_endpoint",
        "_model",
        "_provider",
        "_reading",
        "_record",
        "_said",
        "_started",
        "_unended",
        "_usage",
        "span",
    )

    def __init__(
        self,
        span: Span,
        endpoint: Endpoint,
        provider: str,
        model: str | None,
        body: Json,
        record: Callable[[Reading], None],
    ) -> None:
        self.span = span
        self._record = record
        self._endpoint = endpoint
        self._provider = provider
        self._model = model
        self._body = body
        self._started = time.perf_counter()
        self._reading = NOTHING
        self._usage: dict[str, object] = {}
        self._said: Callable[[], Iterable[str]] | None = None
        self._accepted = False
        # Taking the one item out is atomic, so that two threads cannot both end an attempt.
        self._unended = [True]

    @guarded
    def took(self, reading: Reading) -> None:
        """Adds what a body or an event said. What comes later overrides, and keeps what it does not
        mention."""
        known = self._reading
        self._reading = (
            reading
            if known is NOTHING
            else Reading(
                response_id=reading.response_id or known.response_id,
                model=reading.model or known.model,
                service_tier=reading.service_tier or known.service_tier,
                error=reading.error or known.error,
                last=reading.last or known.last,
                region=reading.region or known.region,
                quantities={**known.quantities, **reading.quantities},
                deferred=reading.deferred or known.deferred,
                operation=reading.operation or known.operation,
                beside=reading.beside or known.beside,
            )
        )
        if reading.usage:
            self._usage.update(
                (name, value) for name, value in reading.usage.items() if value is not None
            )

    @guarded
    def accepted(self) -> None:
        """The provider has taken the request on: what it asks for is used."""
        self._accepted = True

    @guarded
    def answered(self, said: Callable[[], Iterable[str]]) -> None:
        """The provider has begun to answer: what it says is worth an estimate if it is never
        counted."""
        self._said = said

    @property
    def told_all(self) -> bool:
        """Whether the provider has said all that it will say."""
        return self._reading.last

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
        for beside in self._reading.beside:
            # At the tier and in the place of the answer that it is a part of.
            self._record(
                beside._replace(
                    service_tier=beside.service_tier or self._reading.service_tier,
                    region=beside.region or self._reading.region,
                )
            )

    def _describe(self, error_type: str | None, status_code: int | None) -> None:
        reading = self._reading
        if error_type is not None and error_type != names.CANCELLED:
            self.span.set_status(StatusCode.ERROR)
        attributes: Attributes = {
            name: value
            for name, value in (
                (names.HTTP_RESPONSE_STATUS_CODE, status_code),
                (names.ERROR_TYPE, error_type),
                (names.RESPONSE_ID, reading.response_id),
                (names.RESPONSE_MODEL, reading.model),
                (names.USAGE_SERVICE_TIER, reading.service_tier),
                (names.USAGE_REGION, reading.region),
            )
            if value
        }
        attributes.update(
            self._fetched() if self._endpoint.fetches else self._used(complete=error_type is None)
        )
        self.span.set_attributes(attributes)

    def _used(self, *, complete: bool) -> Attributes:
        attributes: Attributes = self._endpoint.asked(self._body) if self._accepted else {}
        for unit, amount in self._reading.quantities.items():
            attributes[names.quantity(unit)] = amount
        counted: Attributes = {}
        if self._usage:
            first_seen(self._provider, self._reading.response_id)
            counted = self._endpoint.attributes(self._usage)
            attributes[names.USAGE_RAW] = _encode(self._usage)
        attributes.update(counted)
        if attributes:
            attributes[names.USAGE_SOURCE] = names.SOURCE_PROVIDER
        if self._said is None or self._reading.deferred:
            return attributes
        if not (complete and self._usage):
            attributes.update(self._estimate(counted, self._said))
        elif names.OUTPUT_TOKENS in counted and names.INPUT_TOKENS not in counted:
            attributes.update(self._estimated_input())
        return attributes

    def _estimate(self, known: Attributes, said: Callable[[], Iterable[str]]) -> Attributes:
        """The counts that never came, from the texts themselves; of what the provider said, the
        larger."""
        if self._endpoint.said is no_texts:
            if known:
                return {names.USAGE_SOURCE: names.SOURCE_ESTIMATE}
            # What is counted in other units, as images are, has no tokens to be missed.
            return {} if self._reading.quantities else self._estimated_input()
        output = estimated(said(), self._provider, self._model_named)
        counted = known.get(names.OUTPUT_TOKENS, 0)
        estimate: Attributes = {
            names.OUTPUT_TOKENS: max(output.tokens, int(counted)),
            names.USAGE_SOURCE: output.source,
        }
        if names.INPUT_TOKENS not in known:
            estimate.update(self._estimated_input())
        return estimate

    def _estimated_input(self) -> Attributes:
        """The prompt's count, where the endpoint knows which texts of a request are prompt."""
        if self._endpoint.prompt is no_texts:
            return {}
        prompt = estimated(self._endpoint.prompt(self._body), self._provider, self._model_named)
        return {names.INPUT_TOKENS: prompt.tokens, names.USAGE_SOURCE: prompt.source}

    @property
    def _model_named(self) -> str:
        return self._reading.model or self._model or ""

    def _fetched(self) -> Attributes:
        """A response that was made earlier counts here only if nobody has counted it."""
        shown = self._usage or self._reading.quantities
        if not shown or not first_seen(self._provider, self._reading.response_id):
            return {}
        operation = self._reading.operation or names.CHAT
        return {**self._used(complete=True), names.OPERATION_NAME: operation}


_remembered: Final[OrderedDict[tuple[str, str], None]] = OrderedDict()


def first_seen(provider: str, response_id: str | None) -> bool:
    """Whether this process meters the response for the first time; it has from now on."""
    if response_id is None:
        return True
    key = (provider, response_id)
    new = key not in _remembered
    _remembered[key] = None
    while len(_remembered) > MAX_REMEMBERED:
        _remembered.popitem(last=False)
    return new


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
