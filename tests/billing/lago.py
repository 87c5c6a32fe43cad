"""Lago's events as documented: batches of at most 100, taken wholly or not; each event once by its transaction_id.

Source: docs.getlago.com/api-reference/events/batch.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from billing.server import BillingServer, Reply, Request

KEY = "a key of Lago"
NEEDED = ("transaction_id", "external_subscription_id", "code")


@dataclass
class LagoServer(BillingServer):
    events: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    codes: frozenset[str] = frozenset({"tokens", "money"})

    def take(self, request: Request) -> Reply:
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return Reply(401, {"status": 401, "error": "Unauthorized"})
        if (request.method, request.path) != ("POST", "/api/v1/events/batch"):
            return Reply(404, {"status": 404, "error": "Not Found", "code": "resource_not_found"})
        batch: list[dict[str, Any]] = request.json["events"]
        if len(batch) > 100:
            return _invalid({"events": ["too_many_events"]})
        wrong = {str(at): each for at, event in enumerate(batch) if (each := self._wrong(event))}
        if wrong:
            return _invalid(wrong)
        self.events.update({each["transaction_id"]: each for each in batch})
        return Reply(200, {"events": batch})

    def totals(self) -> dict[tuple[str, str], Decimal]:
        """By subscription and code."""
        found: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
        for each in self.events.values():
            key = each["external_subscription_id"], each["code"]
            found[key] += Decimal(each["properties"]["value"])
        return dict(found)

    def _wrong(self, event: dict[str, Any]) -> dict[str, list[str]]:
        wrong = {name: ["value_is_mandatory"] for name in NEEDED if not event.get(name)}
        if event.get("transaction_id") in self.events:
            wrong["transaction_id"] = ["value_already_exist"]
        if event.get("code") not in self.codes:
            wrong["code"] = ["billable_metric_not_found"]
        return wrong


def _invalid(details: Any) -> Reply:
    body = {"status": 422, "error": "Unprocessable Entity", "code": "validation_errors"}
    return Reply(422, {**body, "error_details": details})
