"""How the ledger is."""

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, Response

from spanmeter.console.web.health import read_health
from spanmeter.console.web.rendering import page
from spanmeter.console.web.views import OperatorView

router = APIRouter()


@router.get("/healthz")
def healthz() -> Response:
    """For probes: the console answers. It tells nothing of any tenant."""
    return PlainTextResponse("ok\n")


@router.get("/health")
def health(request: Request, view: OperatorView) -> Response:
    """What the ledger took lately, and what is wrong with it."""
    return page(request, "health.html", health=read_health(view.connection))
