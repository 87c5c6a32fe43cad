"""What is billable, and every version of it."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from spanmeter.console.web.rendering import page
from spanmeter.console.web.views import OperatorView
from spanmeter.storage.rules import rules_history, rules_in_force

router = APIRouter()


@router.get("/rules")
def rules(request: Request, view: OperatorView) -> Response:
    """The rules in force, and those before."""
    return page(
        request,
        "rules.html",
        in_force=rules_in_force(view.connection),
        history=rules_history(view.connection),
    )
