"""`/v1/evaluations`: scores of calls, by programs that evaluate; `/v1/quality`: what quality costs."""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime, BaseModel, BeforeValidator, Field, StringConstraints

from spanmeter.console.quality import LONG, Ranked, dimensions, ranked_quality
from spanmeter.console.web.asked_period import Asked
from spanmeter.console.web.money import Money
from spanmeter.console.web.principals import Evaluator, evaluator
from spanmeter.console.web.problems import Problem, documented
from spanmeter.console.web.services import Services, services_of
from spanmeter.console.web.views import OperatorView
from spanmeter.metering.evaluation import MAX_LABEL, MAX_SCORE, Evaluation, evaluation, score
from spanmeter.metering.frontier import Better
from spanmeter.metering.reading import MAX_TEXT
from spanmeter.metering.unmeterable import Unmeterable
from spanmeter.storage.errors import UnknownDimension
from spanmeter.storage.evaluations import Scored, add_evaluations, evaluated_names

router = APIRouter(tags=["quality"])

MOST: Final = 200
"""Evaluations of one request."""

Text = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_TEXT // 4, pattern=r"^[^\x00]+$"),
]


def _as_text(value: object) -> object:
    if value is not None and not isinstance(value, str):
        raise ValueError("a moment is text, such as 2026-11-20T08:30:00Z")
    return value


class Told(BaseModel):
    """A score of one call, named by its span, or by the provider's id of its response."""

    id: Text | None = Field(
        None,
        description="Your own name for this evaluation: told again, it is the same one. Without, all else tells.",
    )
    trace_id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")] | None = None
    span_id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")] | None = None
    response_id: Text | None = Field(None, description="Names the call where it is given.")
    name: Text = Field(description="What was evaluated: relevance, correctness ...")
    score: (
        Annotated[float, Field(strict=True, ge=-MAX_SCORE, le=MAX_SCORE, allow_inf_nan=False)]
        | None
    ) = None
    label: Annotated[Text, Field(max_length=MAX_LABEL)] | None = None
    error_type: Text | None = Field(None, description="Why the evaluation itself failed.")
    time: Annotated[AwareDatetime, BeforeValidator(_as_text)] | None = Field(
        None,
        description="When it was evaluated; with an offset. Null: now, and the same evaluation told again is known.",
    )


class ToldEvaluations(BaseModel):
    """Scores to be kept, all or none."""

    evaluations: list[Told] = Field(min_length=1, max_length=MOST)


class KeptEvaluations(BaseModel):
    """What became of them."""

    recorded: int = Field(description="New ones.")
    known: int = Field(description="Those that were told before: they stay as they are.")


class QualityRow(BaseModel):
    """What calls that share the dimensions and the currency scored and cost."""

    dimensions: dict[str, str | None]
    currency: str = Field(description="ISO 4217.")
    evaluations: int
    failed: int = Field(description="Evaluations that ended in an error.")
    calls: int = Field(description="Calls that were evaluated.")
    scored: int = Field(description="Of these, those with a score.")
    unpriced: int = Field(description="Of these, those without a known cost.")
    score: Money | None = Field(description="Mean of the calls' scores.")
    cost: Money | None = Field(description="What the evaluated calls cost, exactly.")
    cost_per_call: Money | None = Field(description="Mean cost of a scored call.")
    cost_per_point: Money | None = Field(
        description="Cost of the scored calls by the sum of their scores."
    )
    dominated_by: dict[str, str | None] | None = Field(
        description="A row that scores no worse and costs no more, and is better in one; of the same feature, if by "
        "feature. Null: the row is on the frontier, or has no score or cost."
    )
    labels: dict[str, int] = Field(description="The ten most frequent labels.")


class QualityRows(BaseModel):
    """Quality by dimensions, greatest cost first."""

    data: list[QualityRow]
    evaluation: str | None = Field(description="What was evaluated; null: nothing was.")
    evaluated: dict[str, int] = Field(
        description="All that was evaluated in the period, and how often."
    )


@router.post("/evaluations", responses=documented())
def record(
    told: ToldEvaluations,
    services: Annotated[Services, Depends(services_of)],
    by: Annotated[Evaluator, Depends(evaluator)],
) -> KeptEvaluations:
    """Keep scores of calls. It takes a key with the scope ingest or admin; one that is bound to tenants scores their
    calls alone. Telling the same again changes nothing."""
    scored = [
        Scored(_evaluation(each, by.tenants), "api", by.key_id, by.tenants)
        for each in told.evaluations
    ]
    with services.changing() as connection:
        recorded = add_evaluations(connection, scored)
    return KeptEvaluations(recorded=recorded, known=len(scored) - recorded)


@router.get("/quality", responses=documented())
def quality(
    view: OperatorView,
    asked: Asked,
    evaluation: Annotated[
        str | None,
        Query(
            max_length=MAX_TEXT,
            pattern=r"^[^\x00]*$",
            description="What was evaluated. Default: what was most often.",
        ),
    ] = None,
    by: Annotated[
        str,
        Query(
            max_length=200,
            pattern=r"^[^\x00]*$",
            description="Comma-separated: feature, model, provider, tenant, workflow, environment, service.",
        ),
    ] = "feature,model",
    feature: Annotated[str | None, Query(max_length=MAX_TEXT, pattern=r"^[^\x00]*$")] = None,
    better: Annotated[Better, Query(description="Which scores are the better ones.")] = "higher",
) -> QualityRows:
    """Scores beside the cost of the calls that have them, by model and feature, and which of these another beats.

    The period is that of the evaluations.
    """
    names = dict(evaluated_names(view.connection, asked.since, asked.until))
    chosen = evaluation or next(iter(names), None)
    if chosen is None:
        return QualityRows(data=[], evaluation=None, evaluated={})
    try:
        found = ranked_quality(
            view.connection, chosen, dimensions(by), asked.period, feature=feature, better=better
        )
    except UnknownDimension as error:
        raise Problem.meaningless(str(error)) from error
    return QualityRows(data=[*map(_row, found)], evaluation=chosen, evaluated=names)


def _row(ranked: Ranked) -> QualityRow:
    other = ranked.dominated_by
    told = ranked.quality._asdict() | {
        "dimensions": _short(ranked.quality.dimensions),
        "dominated_by": None if other is None else _short(other.dimensions),
    }
    return QualityRow.model_validate(told)


def _short(dimensions: Mapping[str, str | None]) -> dict[str, str | None]:
    return {LONG.get(name, name): value for name, value in dimensions.items()}


def _evaluation(told: Told, tenants: Collection[str] | None) -> Evaluation:
    """The evaluation, known again by its own name or by all that it tells. Raises Problem 400."""
    if (told.trace_id is None) != (told.span_id is None):
        raise Problem.meaningless("a span is named by trace_id and span_id, both")
    span = None
    if told.trace_id is not None and told.span_id is not None:
        span = bytes.fromhex(told.trace_id), bytes.fromhex(told.span_id)
    # What a key that is bound to tenants names is no other tenant's evaluation of that name.
    within = "" if tenants is None else repr(sorted(tenants))
    itself = told.model_dump_json() if told.id is None else f"id {told.id}"
    try:
        return evaluation(
            told.name,
            score=score(told.score),
            label=told.label,
            error_type=told.error_type,
            span=span,
            response_id=told.response_id,
            time=told.time or datetime.now(UTC),
            identity=f"api\0{within}\0{itself}".encode(),
        )
    except Unmeterable as error:
        raise Problem.meaningless(error.detail) from error
