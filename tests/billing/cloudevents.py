"""A receiver of CloudEvents in batches, as specified: `source` and `id` tell an event from all others."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from billing.server import BillingServer, Reply, Request
from spanmeter.metering.costing import EXACT

KEY = "a key of the receiver"
REQUIRED = {"specversion", "id", "source", "type"}


@dataclass
class CloudEventsServer(BillingServer):
    events: dict[tuple[str, str], dict[str, Any]] = field(
        default_factory=dict[tuple[str, str], dict[str, Any]]
    )
    duplicates: int = 0

    def take(self, request: Request) -> Reply:
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return Reply(401, {"message": "who are you"})
        if request.headers.get("content-type") != "application/cloudevents-batch+json":
            return Reply(415, {"message": "no batch of CloudEvents"})
        batch: list[dict[str, Any]] = request.json
        if any(not each.keys() >= REQUIRED or each["specversion"] != "1.0" for each in batch):
            return Reply(400, {"message": "an event lacks what it needs"})
        for each in batch:
            key = each["source"], each["id"]
            if key in self.events:
                assert self.events[key] == each
                self.duplicates += 1
            self.events[key] = each
        return Reply(202)

    def totals(self) -> dict[tuple[str, str], Decimal]:
        """By customer and type."""
        found: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
        for each in self.events.values():
            key = each["subject"], each["type"]
            found[key] = EXACT.add(found[key], Decimal(each["data"]["value"]))
        return dict(found)
