"""OpenMeter's events as documented: CloudEvents in, and listed. It knows duplicates only if told to.

Source: OpenMeter's OpenAPI document, `/api/v1/events`; `dedupe.enabled` is false in its own configuration.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from billing.server import BillingServer, Reply, Request

KEY = "a key of OpenMeter"


@dataclass
class OpenMeterServer(BillingServer):
    deduplicates: bool = False
    events: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def take(self, request: Request) -> Reply:
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return Reply(401, {"title": "Unauthorized", "status": 401, "detail": "no key"})
        if request.path != "/api/v1/events":
            return Reply(404, {"title": "Not Found", "status": 404, "detail": "no such path"})
        if request.method == "GET":
            return Reply(200, self._listed(request.query))
        if request.headers.get("content-type") != "application/cloudevents-batch+json":
            return Reply(415, {"title": "Unsupported", "status": 415, "detail": "no batch"})
        known = {(each["source"], each["id"]) for each in self.events}
        for each in request.json:
            if not self.deduplicates or (each["source"], each["id"]) not in known:
                self.events.append(each)
        return Reply(204)

    def totals(self) -> dict[tuple[str, str], Decimal]:
        """By subject and type, as its meters sum them."""
        found: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
        for each in self.events:
            found[each["subject"], each["type"]] += Decimal(each["data"]["value"])
        return dict(found)

    def _listed(self, query: Any) -> list[dict[str, Any]]:
        return [
            {"event": each, "ingestedAt": "2026-11-21T00:00:00Z"}
            for each in self.events
            if each["id"] == query["id"] and each["subject"] == query["subject"]
        ]
