"""What a reconciliation adds to the ledger, as adjustments."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, time
from decimal import Decimal
from typing import Any, Final
from uuid import UUID, uuid5

from spanmeter.metering.reconciliation.bill import CACHE_READ, INPUT_KINDS, STANDARD, UNCACHED_INPUT
from spanmeter.metering.reconciliation.sharing import Posting
from spanmeter.storage.adjustments import Adjustment
from spanmeter.storage.books import KINDS
from spanmeter.storage.reconciliations import REFERENCE

OPERATION: Final = "reconciliation"
"""Stands for the operation, which a bill does not tell."""

_MEDIA: Final = ("audio_input_tokens", "image_input_tokens")
_MEDIA_OUT: Final = ("audio_output_tokens", "image_output_tokens")


def adjustments_of(
    reconciliation_id: UUID, provider: str, currency: str, postings: Iterable[Posting]
) -> list[Adjustment]:
    """One adjustment for each posting, always the same for the same reconciliation."""
    return [_adjustment(reconciliation_id, provider, currency, each) for each in postings]


def _adjustment(
    reconciliation_id: UUID, provider: str, currency: str, posting: Posting
) -> Adjustment:
    cell, cause, *_ = posting.variance
    who = posting.sharer._asdict()
    identity = "\x1f".join(map(str, (*cell, cause, *posting.sharer)))
    return Adjustment(
        time=datetime.combine(cell.day, time(), UTC),
        adjustment_id=uuid5(reconciliation_id, identity),
        reason=f"reconciliation: {cause}",
        reference=f"{REFERENCE}{reconciliation_id}",
        provider=provider,
        operation=OPERATION,
        response_model=cell.model,
        service_tier=None if cell.tier == STANDARD else cell.tier,
        billable_reason="reconciliation",
        cost=posting.amount,
        currency=currency,
        unpriced_requests=posting.unpriced_requests,
        **{**who, **_counts(posting.quantities)},
    )


def _counts(kinds: Mapping[str, Decimal]) -> dict[str, Any]:
    """Kinds, which exclude each other, as the ledger's counts, of which some include others."""

    def of(*names: str) -> int | None:
        return sum(int(kinds[name]) for name in names if name in kinds) or None

    written = [kind for kind in INPUT_KINDS if kind not in (UNCACHED_INPUT, CACHE_READ)]
    return {
        "input_tokens": of(*INPUT_KINDS, *_MEDIA),
        "cache_read_input_tokens": of(CACHE_READ),
        "cache_write_input_tokens": of(*written),
        "output_tokens": of("output_tokens", *_MEDIA_OUT),
        **{name: of(name) for name in (*_MEDIA, *_MEDIA_OUT)},
        "quantities": {kind: amount for kind, amount in kinds.items() if kind not in KINDS},
    }
