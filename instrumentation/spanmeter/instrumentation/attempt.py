"""The attempt: one request to a provider, what came back of it, and the record of it."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Final

from spanmeter.instrumentation.budgets.reservation import ReservedRecording
from spanmeter.instrumentation.collected import aside
from spanmeter.instrumentation.endpoint import (
    NOTHING,
    Attributes,
    Endpoint,
    Json,
    Reading,
    no_texts,
    nothing_asked,
)
from spanmeter.instrumentation.estimating import estimated
from spanmeter.instrumentation.guard import guarded
from spanmeter.instrumentation.json_codec import encoded
from spanmeter.instrumentation.recorder import Recording
from spanmeter.metering import attributes as names

MAX_REMEMBERED: Final = 10_000
"""Response ids kept to tell a response that is fetched again. Polling a background response takes
minutes."""


class Attempt:
    """One request to a provider, and its record. However it ends, it ends once.

    `record` records what the answer says of uses beside its own. `accepted` is whether the provider
    has taken the request on: what it asks for is used. `said` gives the texts of the answer, once it
    has begun: they are worth an estimate if they are never counted.
    """

    __slots__ = (
        "_body",
        "_endpoint",
        "_first_chunk",
        "_model",
        "_provider",
        "_reading",
        "_record",
        "_started",
        "_unended",
        "_usage",
        "accepted",
        "recording",
        "said",
    )

    def __init__(
        self,
        recording: Recording | ReservedRecording,
        endpoint: Endpoint,
        provider: str,
        model: str | None,
        body: Json,
        record: Callable[[Reading], None],
    ) -> None:
        self.recording = recording
        self._record: Callable[[Reading], None] | None = record
        self._endpoint = endpoint
        self._provider = provider
        self._model = model
        self._body = body
        self._started = time.perf_counter()
        self._first_chunk: float | None = None
        self._reading = NOTHING
        self._usage: dict[str, object] = {}
        self.said: Callable[[], Iterable[str]] | None = None
        self.accepted = False
        # Taking the one item out is atomic, so that two threads cannot both end an attempt.
        self._unended = [True]

    def took(self, reading: Reading) -> None:
        """Adds what a body or an event said. What comes later overrides, and keeps what it does not
        mention."""
        if reading is NOTHING:
            return
        known = self._reading
        self._reading = reading if known is NOTHING else _merged(known, reading)
        if usage := reading.usage:
            if None in usage.values():
                usage = {name: value for name, value in usage.items() if value is not None}
            self._usage.update(usage)

    @guarded
    def took_headers(
        self, read: Callable[[Mapping[str, str]], Reading], headers: Mapping[str, str]
    ) -> None:
        """Adds what `read` finds in the headers of the response."""
        self.took(read(headers))

    @property
    def told_all(self) -> bool:
        """Whether the provider has said all that it will say."""
        return self._reading.last

    @guarded
    def first_chunk(self) -> None:
        """The first bytes of a stream have come."""
        self._first_chunk = time.perf_counter() - self._started

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
        """Ends the attempt; a second end is none. What has to be estimated is, by another thread,
        and until then the record is open."""
        try:
            self._unended.pop()
        except IndexError:
            return
        error = error_type or self._reading.error
        attributes: Attributes = {}
        unsaid: Callable[[], Attributes] | None = None
        try:
            unsaid = self._describe(attributes, error, status_code)
        finally:
            if unsaid is None:
                self._close(attributes, error)
            else:
                aside.put(partial(self._estimate, unsaid, attributes, error, time.time_ns()))

    @guarded
    def _estimate(
        self, unsaid: Callable[[], Attributes], attributes: Attributes, error: str | None, at: int
    ) -> None:
        """Adds the estimate to what the provider said, and closes the record as of then."""
        try:
            attributes.update(unsaid())
        finally:
            self._close(attributes, error, at)

    def _close(self, attributes: Attributes, error: str | None, at: int | None = None) -> None:
        """Makes the record, with all that is known of the attempt."""
        try:
            failed = error is not None and error != names.CANCELLED
            self.recording.end(attributes, failed=failed, end_ns=at)
        finally:
            if self._reading.beside and self._record is not None:
                self._record_beside(self._record)
            # These lead back here: all is freed now, not when the collector comes by.
            self._record = self.said = None

    def _record_beside(self, record: Callable[[Reading], None]) -> None:
        """Records the uses beside its own, at the tier and in the place of the answer that they are
        part of."""
        reading = self._reading
        for beside in reading.beside:
            record(
                beside._replace(
                    service_tier=beside.service_tier or reading.service_tier,
                    region=beside.region or reading.region,
                )
            )

    def _describe(
        self, attributes: Attributes, error: str | None, status_code: int | None
    ) -> Callable[[], Attributes] | None:
        """Adds what is known to the attributes; returns what estimates the rest, if anything is to
        be."""
        # All at once: to ask a named tuple for each takes a while.
        response_id, model, service_tier, _, _, _, region, *_ = self._reading
        if self._first_chunk is not None:
            attributes[names.TIME_TO_FIRST_CHUNK] = self._first_chunk
        if status_code:
            attributes[names.HTTP_RESPONSE_STATUS_CODE] = status_code
        if error:
            attributes[names.ERROR_TYPE] = error
        if response_id:
            attributes[names.RESPONSE_ID] = response_id
        if model:
            attributes[names.RESPONSE_MODEL] = model
        if service_tier:
            attributes[names.USAGE_SERVICE_TIER] = service_tier
        if region:
            attributes[names.USAGE_REGION] = region
        if not self._endpoint.fetches:
            return self._use(attributes, complete=error is None)
        if not self._first_fetched():
            return None
        attributes[names.OPERATION_NAME] = self._reading.operation or names.CHAT
        return self._use(attributes, complete=True)

    def _first_fetched(self) -> bool:
        """Whether a response that was made earlier counts here: only if nobody has counted it."""
        shown = self._usage or self._reading.quantities
        return bool(shown) and first_seen(self._provider, self._reading.response_id)

    def _use(self, attributes: Attributes, *, complete: bool) -> Callable[[], Attributes] | None:
        """Adds what was used, as far as the provider said; returns what estimates the rest."""
        described = len(attributes)
        reading, usage, endpoint = self._reading, self._usage, self._endpoint
        if self.accepted and endpoint.asked is not nothing_asked:
            attributes.update(endpoint.asked(self._body))
        if quantities := reading.quantities:
            for unit, amount in quantities.items():
                attributes[names.quantity(unit)] = amount
        counted: Attributes = {}
        if usage:
            first_seen(self._provider, reading.response_id)
            counted = endpoint.attributes(usage)
            attributes[names.USAGE_RAW] = encoded(usage)
            attributes.update(counted)
        if len(attributes) > described:
            attributes[names.USAGE_SOURCE] = names.SOURCE_PROVIDER
        if self.said is None or reading.deferred:
            return None
        if not (complete and usage):
            return partial(self._estimated, counted, self.said)
        if names.OUTPUT_TOKENS in counted and names.INPUT_TOKENS not in counted:
            return self._estimated_input
        return None

    def _estimated(self, known: Attributes, said: Callable[[], Iterable[str]]) -> Attributes:
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


def _merged(known: Reading, reading: Reading) -> Reading:
    """Two readings of one answer; the later one overrides. Usage blocks are merged apart."""
    return Reading(
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
