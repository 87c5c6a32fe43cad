"""The metered call: one call of a client library's method, made of one or more attempts."""

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Final, cast
from weakref import ReferenceType

from opentelemetry.context import Context, attach, create_key, get_current

from spanmeter.instrumentation.attempt import Attempt, first_seen
from spanmeter.instrumentation.budgets.admission import Admission
from spanmeter.instrumentation.budgets.reservation import Reservation, ReservedRecording
from spanmeter.instrumentation.endpoint import Endpoint, Json, Reading
from spanmeter.instrumentation.entering import ENTRY, Entry
from spanmeter.instrumentation.errors import BudgetExceeded
from spanmeter.instrumentation.guard import guarded, report
from spanmeter.instrumentation.recorder import SPAN, Recorder, Repeated
from spanmeter.metering import attributes as names

_CALL: Final = create_key("spanmeter-call")


class Call:
    """A call in progress. Each request that the client library sends for it is an attempt, and a
    span.

    `context` is the application's own, in which the call was made. `http_client` is the object that
    sends the library's requests: requests of any other, made in the meantime, are none of this
    call's. `repeated` and `attributes` are those of each of its spans, `private` what `identity.set_aside` says of
    its context. `hides_usage` is whether the usage event of its stream was asked for by us. `admission` decides about
    its attempts, where it falls under budgets; `refusal` is why one was not made.
    """

    __slots__ = (
        "__weakref__",
        "_attributes",
        "_current",
        "_recorder",
        "_repeated",
        "admission",
        "attempts",
        "body",
        "context",
        "endpoint",
        "hides_usage",
        "http_client",
        "model",
        "private",
        "provider",
        "refusal",
    )

    def __init__(
        self,
        recorder: Recorder,
        endpoint: Endpoint,
        provider: str,
        model: str | None,
        context: Context,
        private: Mapping[str, object],
        http_client: object,
        repeated: Repeated,
        attributes: Mapping[str, str | int | bool],
        body: Json,
        admission: Admission | None = None,
    ) -> None:
        self._recorder = recorder
        self._current: Attempt | None = None
        self._repeated = repeated
        self._attributes = attributes
        self.private = private
        self.body = body
        self.endpoint = endpoint
        self.model = model
        self.provider = provider
        self.context = context
        self.http_client = http_client
        self.hides_usage = False
        self.attempts = 0
        self.admission = admission
        self.refusal: BudgetExceeded | None = None

    def provider_context(self) -> Context:
        """The context to call the provider in: this call is current, and no identity is in its
        baggage."""
        return Context({**self.context, **self.private, _CALL: self})

    def attempt(self) -> Attempt:
        """Begins an attempt. One that is still open was given up by the client library, which sends
        anew."""
        if self._current is not None:
            self._current.end(error_type=names.CANCELLED)
        reservation = None if self.admission is None else self._reserved(self.admission)
        self.attempts += 1
        repeated = self._repeated
        attributes = {**self._attributes, names.USAGE_ATTEMPT: self.attempts}
        if reservation is not None:
            attributes.update(reservation.attributes)
        recording = self._recorder.begin(repeated.name, self.context, attributes, repeated)
        record = recording if reservation is None else ReservedRecording(recording, reservation)
        self._current = attempt = Attempt(
            record, self.endpoint, self.provider, self.model, self.body, self.result
        )
        return attempt

    def decide(self) -> None:
        """Waits until it is decided whether an attempt may be made. Raises `BudgetExceeded`."""
        if self.admission is not None:
            try:
                self.admission.wait()
            except BudgetExceeded as refusal:
                self.refusal = refusal
                raise

    async def decide_async(self) -> None:
        """The same, while others run."""
        if self.admission is not None:
            try:
                await self.admission.wait_async()
            except BudgetExceeded as refusal:
                self.refusal = refusal
                raise

    def _reserved(self, admission: Admission) -> Reservation | None:
        try:
            return admission.take()
        except BudgetExceeded as refusal:
            self.refusal = refusal
            raise

    def result(self, reading: Reading) -> None:
        """Records a call that another's answer tells of: one of many that were made together, whose
        results have come in one file, or another model's part in it."""
        if not first_seen(self.provider, reading.response_id):
            return
        operation = reading.operation or names.CHAT
        attributes: dict[str, str | int | float | bool] = {
            **self._repeated.attributes,
            **self._attributes,
            names.OPERATION_NAME: operation,
        }
        if self.model is not None and reading.model is not None:
            attributes[names.REQUEST_MODEL] = reading.model
        recording = self._recorder.begin(
            f"{operation} {reading.model or ''}".rstrip(), self.context, attributes
        )
        endpoint = self.endpoint._replace(fetches=False)
        attempt = Attempt(recording, endpoint, self.provider, None, {}, self.result)
        try:
            attempt.took(reading)
        finally:
            attempt.end()

    @guarded
    def returned_at_once(self) -> None:
        """The library's method has returned without any attempt: that is one record still."""
        self.attempt().end()

    @guarded
    def raised(self, exc: BaseException) -> None:
        """The library's method has raised: what is still open ends with it. An attempt that was refused was none."""
        if self.refusal is not None and self._current is None:
            return
        attempt = self._current if self._current is not None else self.attempt()
        attempt.failed(exc)


def current_call(context: Context | None = None) -> Call | None:
    """The call in whose course this code runs, if any."""
    context = get_current() if context is None else context
    call = cast("Call | ReferenceType[Call] | None", context.get(_CALL))
    return call() if isinstance(call, ReferenceType) else call


def outliving(context: Context) -> Context:
    """The context for a thread that is started in it and may live on: it keeps no call alive, with the
    request's body, and nothing that was entered before."""
    kept = {name: value for name, value in context.items() if name != ENTRY}
    if isinstance(call := kept.get(_CALL), Call):
        kept[_CALL] = ReferenceType(call)
    return Context(kept)


# These two enter as any `Entry` does, but in fewer steps: they are on the way of every call.


class Calling(Entry):
    """The making of a call, for `with`: inside, the call is current, and no identity is in the
    baggage."""

    __slots__ = ("call",)

    def __init__(self, call: Call) -> None:
        self.call, self.owner = call, None
        self.outer = context = call.context
        attach(Context({**context, **call.private, _CALL: call, ENTRY: self}))

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        call = self.call
        if exc is not None:
            call.raised(exc)
        self.leave()
        if exc is None and call.attempts == 0:
            call.returned_at_once()
        refusal = call.refusal
        if refusal is not None and isinstance(exc, Exception) and exc is not refusal:
            # The library has made an error of its own of it.
            raise refusal


class Sending(Entry):
    """The sending of an attempt's request, for `with`: the HTTP client's own span is a child of the
    attempt's, and requests that are made on the way (authentication, hooks) are no attempts.
    `context` is the current one."""

    __slots__ = ("attempt", "call")

    def __init__(self, call: Call, context: Context) -> None:
        self.call, self.owner, self.outer = call, None, context
        self.attempt = attempt = call.attempt()
        attach(Context({**context, SPAN: attempt.recording.span, _CALL: None, ENTRY: self}))

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if exc is not None:
            self.attempt.failed(exc)
        self.leave()

    def read(self, observe: Callable[..., None], *answer: object) -> None:
        """Has `observe` read the answer, given the attempt and the call too. Where that fails the
        attempt ends."""
        try:
            observe(*answer, self.attempt, self.call)
        except Exception as exc:  # noqa: BLE001 - a fault of ours must not reach the application
            report(observe.__qualname__, exc)
            self.attempt.end()
