"""The meter: a span in, a costed usage event out. Pure: the same span always gives the same event."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final, NamedTuple, Never, cast

from spanmeter.metering import attributes as names
from spanmeter.metering.billable import Facts, billable_state
from spanmeter.metering.costing import UNPRICED, Cost, cost_of, priced_quantities
from spanmeter.metering.dialects import Dialect, dialect_of
from spanmeter.metering.providers import canonical_provider
from spanmeter.metering.rates import Rates
from spanmeter.metering.reading import clipped, count, first_text, flag, quantity, text
from spanmeter.metering.span import Attributes, Span
from spanmeter.metering.tokens import Tokens, read_tokens
from spanmeter.metering.unmeterable import Unmeterable
from spanmeter.metering.usage_event import Status, UsageEvent, UsageSource

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
SOURCES: Final = frozenset(
    {names.SOURCE_PROVIDER, names.SOURCE_TOKENIZER, names.SOURCE_ESTIMATE, names.SOURCE_NONE}
)
MAX_RAW_USAGE: Final = 65_536
REFUSED: Final = Cost(Decimal(0), "exact")
"""A provider that answers with an HTTP error has not served the request, and bills nothing for it."""


class Meter:
    """Meters spans at pinned rates.

    Spans that began more than `max_age` before, or `max_ahead` after, the moment of receipt are refused: one span
    of a wrong clock would otherwise make a chunk of its own in the ledger.
    """

    def __init__(
        self,
        rates: Rates,
        *,
        max_age: timedelta = timedelta(days=400),
        max_ahead: timedelta = timedelta(minutes=10),
    ) -> None:
        self._rates = rates
        self._max_age = max_age
        self._max_ahead = max_ahead

    def meter(self, span: Span, now: datetime) -> UsageEvent | None:
        """The usage event of a span received `now`, or `None` if it is not one request to a provider.

        Raises `Unmeterable` where it is one, and cannot be booked as it stands.
        """
        recognised = dialect_of(span)
        if recognised is None:
            return None
        dialect, operation = recognised
        self._check_ids(span)
        time = self._time(span, now)
        attributes, resource = span.attributes, span.resource
        call = _read_call(attributes, dialect)
        tokens = read_tokens(attributes, dialect)
        others = _other_quantities(attributes)
        status = _status(span)
        environment = text(resource, names.DEPLOYMENT_ENVIRONMENT_NAME)
        account_type = text(attributes, names.USAGE_ACCOUNT_TYPE)
        state, reason = billable_state(
            Facts(
                declared=text(attributes, names.USAGE_BILLABLE_STATE),
                status=status,
                produced_output=bool(tokens.output),
                account_type=account_type,
                environment=environment,
            )
        )
        cost, rate_version = self._cost(call, tokens, others, status, attributes, time)
        return UsageEvent(
            time=time,
            trace_id=span.trace_id,
            span_id=span.span_id,
            parent_span_id=span.parent_span_id or None,
            tenant_id=text(attributes, names.TENANT_ID),
            workspace_id=text(attributes, names.WORKSPACE_ID),
            project_id=text(attributes, names.PROJECT_ID),
            user_id=text(attributes, names.USER_ID),
            feature=text(attributes, names.USAGE_FEATURE),
            workflow=text(attributes, names.USAGE_WORKFLOW),
            action=text(attributes, names.USAGE_ACTION),
            label=text(attributes, names.USAGE_LABEL),
            idempotency_key=text(attributes, names.USAGE_IDEMPOTENCY_KEY),
            account_type=account_type,
            dimensions=_dimensions(attributes),
            environment=environment,
            service_name=text(resource, names.SERVICE_NAME),
            callsite=clipped(attributes, names.USAGE_CALLSITE),
            provider=call.provider,
            operation=operation,
            request_model=call.request_model,
            response_model=call.response_model,
            response_id=call.response_id,
            region=text(attributes, names.USAGE_REGION),
            service_tier=call.service_tier,
            byok=flag(attributes, names.USAGE_BYOK),
            attempt=count(attributes, names.USAGE_ATTEMPT) or 1,
            status=status,
            error_type=clipped(attributes, names.ERROR_TYPE),
            duration=timedelta(microseconds=max(0, span.end_ns - span.start_ns) // 1000),
            time_to_first_token=_time_to_first_token(attributes, dialect),
            input_tokens=tokens.input,
            cache_read_input_tokens=tokens.cache_read,
            cache_write_input_tokens=tokens.cache_write,
            cache_write_by_ttl=tokens.cache_write_by_ttl,
            output_tokens=tokens.output,
            reasoning_output_tokens=tokens.reasoning,
            audio_input_tokens=tokens.audio_input,
            audio_output_tokens=tokens.audio_output,
            image_input_tokens=tokens.image_input,
            image_output_tokens=tokens.image_output,
            quantities=others,
            usage_source=_usage_source(attributes, tokens, others),
            raw_usage=_raw_usage(attributes),
            billable_state=state,
            billable_reason=reason,
            cost=cost.amount,
            rate_version=rate_version,
            cost_quality=cost.quality,
            dialect=dialect.name,
            scope_name=span.scope_name[:255].replace("\0", "�"),
            scope_version=span.scope_version[:255].replace("\0", "�"),
        )

    @staticmethod
    def _check_ids(span: Span) -> None:
        for name, value, size in (("trace_id", span.trace_id, 16), ("span_id", span.span_id, 8)):
            if len(value) != size or not any(value):
                raise Unmeterable(
                    "bad_id",
                    f"{name} is {value.hex()[:64]!r}; {size} bytes, not all zero, are needed",
                )
        if span.parent_span_id and len(span.parent_span_id) != 8:
            raise Unmeterable(
                "bad_id", f"parent_span_id has {len(span.parent_span_id)} bytes; 8 are needed"
            )

    def _time(self, span: Span, now: datetime) -> datetime:
        try:
            time = EPOCH + timedelta(microseconds=span.start_ns // 1000)
        except OverflowError:
            time = None
        if time is None or not now - self._max_age <= time <= now + self._max_ahead:
            raise Unmeterable(
                "bad_time",
                f"the span began at {time.isoformat() if time else f'{span.start_ns} ns'}, outside of the "
                f"{self._max_age.days} days before and {self._max_ahead} after its receipt",
            )
        return time

    def _cost(
        self,
        call: "_Call",
        tokens: Tokens,
        others: Mapping[str, Decimal],
        status: Status,
        attributes: Attributes,
        at: datetime,
    ) -> tuple[Cost, str | None]:
        if not tokens.reported and not others:
            refused = (
                status == "error"
                and (count(attributes, names.HTTP_RESPONSE_STATUS_CODE) or 0) >= 400
            )
            return (REFUSED if refused else UNPRICED), None
        quantities = priced_quantities(tokens, others)
        for model in dict.fromkeys((call.response_model, call.request_model)):
            rate = model and self._rates.find(call.provider, model, call.service_tier, at)
            if rate:
                # A price for the model that was asked for stands in for that of the one that answered.
                stands_in = call.response_model is not None and model != call.response_model
                cost = cost_of(quantities, rate._replace(matched=False) if stands_in else rate)
                return cost, f"{self._rates.version}#{rate.name}"
        return UNPRICED, None


class _Call(NamedTuple):
    provider: str
    request_model: str | None
    response_model: str | None
    response_id: str | None
    service_tier: str | None


def _read_call(attributes: Attributes, dialect: Dialect) -> _Call:
    provider = first_text(attributes, dialect.provider)
    if provider is None:
        raise Unmeterable(
            "no_provider", f"{dialect.provider[0]} is missing; no rate can be found without it"
        )
    call = _Call(
        provider=canonical_provider(provider),
        request_model=first_text(attributes, dialect.request_model),
        response_model=first_text(attributes, dialect.response_model),
        response_id=first_text(attributes, dialect.response_id),
        service_tier=first_text(attributes, dialect.service_tier),
    )
    if call.request_model is None and call.response_model is None:
        raise Unmeterable(
            "no_model",
            f"neither {dialect.request_model[0]} nor {dialect.response_model[0]} is given",
        )
    return call


def _other_quantities(attributes: Attributes) -> dict[str, Decimal]:
    unit = text(attributes, names.USAGE_UNIT)
    amount = quantity(attributes, names.USAGE_QUANTITY)
    if unit is None and amount is None:
        return {}
    if unit is None or amount is None:
        missing = names.USAGE_UNIT if unit is None else names.USAGE_QUANTITY
        raise Unmeterable(
            "bad_quantity", f"{missing} is missing; a quantity needs both a unit and an amount"
        )
    return {unit: amount}


def _dimensions(attributes: Attributes) -> dict[str, str]:
    prefix = names.USAGE_DIMENSION_PREFIX
    return {
        name[len(prefix) :]: value
        for name in attributes
        if name.startswith(prefix) and (value := text(attributes, name)) is not None
    }


def _status(span: Span) -> Status:
    error_type = span.attributes.get(names.ERROR_TYPE)
    if isinstance(error_type, str):
        if error_type == names.TIMEOUT or "Timeout" in error_type:
            return "timeout"
        if error_type == names.CANCELLED or "Cancelled" in error_type:
            return "cancelled"
        return "error"
    return "error" if span.failed else "ok"


def _time_to_first_token(attributes: Attributes, dialect: Dialect) -> timedelta | None:
    """Seconds, as OpenTelemetry sends durations. Nothing is charged by it, so a value that is none is left out."""
    for name in dialect.time_to_first_token:
        seconds = attributes.get(name)
        if isinstance(seconds, (int, float)) and 0 <= seconds < 86_400:
            return timedelta(seconds=seconds)
    return None


def _usage_source(
    attributes: Attributes, tokens: Tokens, others: Mapping[str, Decimal]
) -> UsageSource:
    if not tokens.reported and not others:
        return "none"
    source = text(attributes, names.USAGE_SOURCE) or names.SOURCE_PROVIDER
    if source not in SOURCES:
        raise Unmeterable(
            "bad_usage_source", f"usage.source is {source!r}; it must be one of {sorted(SOURCES)}"
        )
    return cast("UsageSource", source)


def _raw_usage(attributes: Attributes) -> str | None:
    """The provider's usage block, if it is JSON that a database takes. It is evidence: nothing is refused for it."""
    raw = attributes.get(names.USAGE_RAW)
    if not isinstance(raw, str) or len(raw) > MAX_RAW_USAGE or "\0" in raw or "\\u0000" in raw:
        return None
    try:
        json.loads(raw, parse_constant=_no_constant)
    except ValueError:
        return None
    return raw


def _no_constant(name: str) -> Never:
    raise ValueError(f"{name} is no JSON")
