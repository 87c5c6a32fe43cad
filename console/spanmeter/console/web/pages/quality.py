"""Quality against cost: which model gives how much of it for what, and which another beats in both."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from spanmeter.console.quality import ranked_quality
from spanmeter.console.web.asked_period import Asked
from spanmeter.console.web.pages.overview import Currency
from spanmeter.console.web.rendering import page
from spanmeter.console.web.views import OperatorView
from spanmeter.metering.frontier import Better
from spanmeter.storage.evaluations import evaluated_names, evaluations_of

router = APIRouter()

Name = Annotated[str | None, Query(max_length=1024, pattern=r"^[^\x00]*$")]


@router.get("/quality")
def quality(
    request: Request,
    view: OperatorView,
    asked: Asked,
    evaluation: Name = None,
    feature: Name = None,
    currency: Currency = None,
    better: Better = "higher",
) -> Response:
    """The frontier of models, all features or one of them, and every feature's models beside each other."""
    names = dict(evaluated_names(view.connection, asked.since, asked.until))
    chosen = evaluation if evaluation is not None else next(iter(names), "")
    rows = ranked_quality(
        view.connection, chosen, ("feature", "model"), asked.period, better=better
    )
    models = ranked_quality(
        view.connection, chosen, ("model",), asked.period, feature=feature, better=better
    )
    shown = currency or (models[0].quality.currency if models else "USD")
    known = sum(each.quality.evaluations for each in rows)
    return page(
        request,
        "quality.html",
        asked=asked,
        names=names,
        chosen=chosen,
        feature=feature,
        better=better,
        currency=shown,
        models=[each for each in models if each.quality.currency == shown],
        rows=[
            each
            for each in rows
            if each.quality.currency == shown
            and feature in (None, each.quality.dimensions["feature"])
        ],
        features=sorted({each.quality.dimensions["feature"] or "" for each in rows} - {""}),
        currencies=sorted({each.quality.currency for each in rows}),
        unknown=evaluations_of(view.connection, chosen, asked.since, asked.until) - known,
    )
