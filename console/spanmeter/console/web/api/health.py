"""`/v1/health`: how the ledger is."""

from fastapi import APIRouter
from pydantic import BaseModel, Field

from spanmeter.console.web.health import read_health
from spanmeter.console.web.problems import documented
from spanmeter.console.web.views import OperatorView

router = APIRouter(tags=["health"])


class LedgerHealth(BaseModel):
    """The ledger in the last 24 hours."""

    edition: str = Field(description="community, apache or plain.")
    postgres: str
    timescaledb: str | None
    rows: int = Field(description="Calls that were booked.")
    unpriced: int
    unattributed: int
    rejected: dict[str, int] = Field(
        description="Spans that were rejected and are still open, by reason."
    )
    missing_records: int = Field(description="Records that apps numbered and that did not arrive.")
    troubles: list[str] = Field(description="What somebody should look at, in words.")


@router.get("/health", responses=documented())
def health(view: OperatorView) -> LedgerHealth:
    """What the ledger took lately, and what is wrong with it. For probes there is /healthz."""
    found = read_health(view.connection)
    return LedgerHealth(
        edition=found.edition,
        postgres=found.postgres,
        timescaledb=found.timescaledb,
        rows=found.usage.rows,
        unpriced=found.usage.unpriced,
        unattributed=found.usage.unattributed,
        rejected=dict(found.rejected),
        missing_records=found.gaps.missing,
        troubles=found.troubles,
    )
