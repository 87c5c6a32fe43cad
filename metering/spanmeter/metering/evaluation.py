"""An evaluation of what a call answered: who scored it, how, and which call that was.

Source: OpenTelemetry's semantic conventions for generative AI, event `gen_ai.evaluation.result`. Its explanation is
text about prompts and completions, and is never kept.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Final, NamedTuple

from spanmeter.metering import attributes as names
from spanmeter.metering.reading import descriptive, text
from spanmeter.metering.span import Attributes, AttributeValue
from spanmeter.metering.unmeterable import Unmeterable

MAX_SCORE: Final = 10**9
"""Scores lie between this and its negative; evaluators give 0 to 1, 1 to 5, or up to 100."""

PLACES: Final = Decimal(1).scaleb(-12)
"""A score is kept to so many places: a double's last digits are no statement about an answer."""

MAX_LABEL: Final = 200
"""Characters. A label is one of few words; what is longer is an explanation in the wrong place."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST_NS: Final = 253_402_300_799 * 10**9
"""The end of the year 9999."""


class Evaluation(NamedTuple):
    """One score of one call. The call has the span that is named, or the provider's id of its response, which wins.

    `time` is when it was evaluated. `evaluation_id` is 32 bytes: what is told again has the same.
    """

    evaluation_id: bytes
    time: datetime
    trace_id: bytes | None
    span_id: bytes | None
    response_id: str | None
    name: str
    score: Decimal | None
    label: str | None
    error_type: str | None


def evaluation_told(
    attributes: Attributes, *, trace_id: bytes, span_id: bytes, time_ns: int
) -> Evaluation:
    """The evaluation that an event's attributes tell, of the span that it stands in; ids of zeros, or none: of no span.

    Raises `Unmeterable` where it has no name or no result, or names no call.
    """
    name = text(attributes, names.EVALUATION_NAME)
    if name is None:
        raise Unmeterable("no_name", f"{names.EVALUATION_NAME} is missing")
    return evaluation(
        name,
        score=score(attributes.get(names.EVALUATION_SCORE_VALUE)),
        label=label(attributes),
        error_type=descriptive(attributes, names.ERROR_TYPE),
        span=_span(trace_id, span_id),
        response_id=text(attributes, names.RESPONSE_ID),
        time=_time(time_ns),
    )


def evaluation(
    name: str,
    *,
    score: Decimal | None,
    label: str | None,
    error_type: str | None,
    span: tuple[bytes, bytes] | None,
    response_id: str | None,
    time: datetime,
    identity: bytes | None = None,
) -> Evaluation:
    """One whose parts are good each. `identity` tells it from all others; without, all of its parts do.

    Raises `Unmeterable` without a result, or a call.
    """
    if score is None and label is None and error_type is None:
        raise Unmeterable(
            "no_result", "an evaluation has a score, a label, or the error it ended in"
        )
    if span is None and response_id is None:
        raise Unmeterable("no_call", "an evaluation names a span, or the id of a response")
    trace_id, span_id = span or (None, None)
    parts = (trace_id, span_id, response_id, name, score, label, error_type, time.isoformat())
    digest = sha256(repr(parts).encode() if identity is None else identity).digest()
    return Evaluation(digest, time, trace_id, span_id, response_id, name, score, label, error_type)


def score(value: AttributeValue) -> Decimal | None:
    """A score as a decimal number. Raises `Unmeterable` for what is none, or beyond `MAX_SCORE`."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unmeterable("bad_score", f"{names.EVALUATION_SCORE_VALUE} is no number")
    # No number is one that is not between these: NaN neither.
    if not -MAX_SCORE <= value <= MAX_SCORE:
        raise Unmeterable(
            "bad_score",
            f"{names.EVALUATION_SCORE_VALUE} is not between -{MAX_SCORE} and {MAX_SCORE}",
        )
    return Decimal(repr(value)).quantize(PLACES).normalize()


def label(attributes: Attributes) -> str | None:
    """The label, cut to `MAX_LABEL` characters."""
    told = descriptive(attributes, names.EVALUATION_SCORE_LABEL)
    return None if told is None else told[:MAX_LABEL]


def _span(trace_id: bytes, span_id: bytes) -> tuple[bytes, bytes] | None:
    if not any(span_id) or not any(trace_id):
        return None
    if (len(trace_id), len(span_id)) != (16, 8):
        raise Unmeterable("bad_id", "a trace id has 16 bytes and a span id 8")
    return trace_id, span_id


def _time(time_ns: int) -> datetime:
    if not 0 < time_ns <= _LATEST_NS:
        raise Unmeterable("bad_time", "the time of the evaluation is missing, or far away")
    return _EPOCH + timedelta(microseconds=time_ns // 1000)
