"""Usage that only the application knows of, recorded as a call is: one span, one row of the ledger.

It needs no `instrument()`, but goes where that was told to send spans.
"""

import logging
import time
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import Final, Literal, get_args

from opentelemetry.context import get_current
from opentelemetry.trace import SpanKind, TracerProvider

from spanmeter.instrumentation.callsite import callsite
from spanmeter.instrumentation.guard import guarded
from spanmeter.instrumentation.identity import identity_in
from spanmeter.instrumentation.recorder import Recorder
from spanmeter.metering import attributes as names

Quantity = Decimal | int | float | str
Operation = Literal[
    "recorded",
    "chat",
    "generate_content",
    "text_completion",
    "embeddings",
    "image_generation",
    "video_generation",
    "speech",
    "transcription",
    "moderation",
    "rerank",
    "classification",
    "ocr",
    "realtime",
]

MAX_QUANTITY: Final = 10**12
MAX_DECIMALS: Final = 30
"""What the meter accepts."""

TOKENS: Final = {"input_tokens": names.INPUT_TOKENS, "output_tokens": names.OUTPUT_TOKENS}
"""Units that have attributes of their own."""

_logger: Final = logging.getLogger(__name__)


class Records:
    """Where records go: to `tracer_provider`, by default the global one."""

    tracer_provider: TracerProvider | None = None

    @guarded
    def record(
        self,
        *,
        unit: str,
        quantity: Quantity,
        model: str | None,
        provider: str | None,
        operation: Operation,
        duration: timedelta | float | None,
    ) -> None:
        """Records an amount in the usage context in force; logs an amount that is none."""
        amount = _amount(quantity)
        if not unit or amount is None or operation not in get_args(Operation):
            _logger.error(
                "usage.record(unit=%r, quantity=%r, operation=%r) records nothing: it needs the name "
                "of a unit, a decimal number from 0 to %d of at most %d places, and one of %s",
                unit,
                quantity,
                operation,
                MAX_QUANTITY,
                MAX_DECIMALS,
                ", ".join(get_args(Operation)),
            )
            return
        attributes = _attributes(operation, unit, amount, model, provider)
        now = time.time_ns()
        recording = self._recorder().begin(
            f"{operation} {model or unit}",
            get_current(),
            attributes,
            kind=SpanKind.INTERNAL,
            start_ns=now - _nanoseconds(duration),
        )
        recording.end({}, end_ns=now)

    def _recorder(self) -> Recorder:
        return Recorder("usage", self.tracer_provider)


records: Final = Records()


def _attributes(
    operation: str, unit: str, amount: Decimal, model: str | None, provider: str | None
) -> dict[str, str | int]:
    identity = identity_in()
    attributes: dict[str, str | int] = {names.OPERATION_NAME: operation, **identity}
    if unit in TOKENS and amount == int(amount):
        attributes[TOKENS[unit]] = int(amount)
    else:
        attributes[names.USAGE_UNIT] = unit
        # Text, since no double holds every decimal.
        attributes[names.USAGE_QUANTITY] = format(amount, "f")
    attributes[names.PROVIDER_NAME] = provider or names.SELF_HOSTED
    if model:
        attributes[names.REQUEST_MODEL] = model
    if names.TENANT_ID not in identity:
        attributes[names.USAGE_CALLSITE] = callsite("spanmeter") or "unknown"
    return attributes


def _amount(quantity: Quantity) -> Decimal | None:
    """The quantity, exactly as it was written; `None` where it is none that can be booked."""
    if isinstance(quantity, bool):
        return None
    try:
        amount = Decimal(str(quantity))
    except InvalidOperation:
        return None
    if not amount.is_finite() or not 0 <= amount <= MAX_QUANTITY:
        return None
    exponent = amount.as_tuple().exponent
    return amount if isinstance(exponent, int) and exponent >= -MAX_DECIMALS else None


def _nanoseconds(duration: timedelta | float | None) -> int:
    seconds = duration.total_seconds() if isinstance(duration, timedelta) else duration or 0
    return max(0, round(seconds * 1e9))
