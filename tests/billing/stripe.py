"""Stripe's meter events as documented: v1, adjustments, summaries, and v2's sessions and stream.

Source: docs.stripe.com/api/billing/meter-event and beside it. It enforces: a key; a known meter and customer; whole
values that are not negative; a timestamp within 35 days and 5 minutes; an identifier of at most 100 characters, unique
for 24 hours; cancellation within 24 hours, once; at most 100 events in a batch; a session of 15 minutes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from billing.server import BillingServer, Reply, Request

KEY = "sk_test_of_nobody"
CUSTOMERS = {"cus_acme", "cus_globex"}
DAY = timedelta(hours=24)


@dataclass
class Event:
    name: str
    identifier: str
    customer: str
    value: Decimal
    time: datetime
    received: datetime
    cancelled: bool = False


class Wrong(Exception):
    """What Stripe answers with an error."""


@dataclass
class StripeServer(BillingServer):
    meters: Mapping[str, str] = field(default_factory=lambda: {"llm_tokens": "mtr_1"})
    events: list[Event] = field(default_factory=list[Event])
    duplicates: int = 0
    sessions: dict[str, datetime] = field(default_factory=dict[str, datetime])

    def take(self, request: Request) -> Reply:
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        streams = request.path == "/v2/billing/meter_event_stream"
        if streams and (bearer not in self.sessions or self.sessions[bearer] < self.now()):
            return _error(401, "the session has expired")
        if not streams and bearer != KEY:
            return _error(401, "Invalid API Key provided")
        try:
            return self._routed(request)
        except Wrong as error:
            return _error(400, str(error))

    def totals(self) -> dict[str, Decimal]:
        """By customer."""
        found = dict.fromkeys(CUSTOMERS, Decimal())
        for each in self.events:
            if not each.cancelled:
                found[each.customer] += each.value
        return found

    def _routed(self, request: Request) -> Reply:
        routes: dict[tuple[str, str], Callable[[Request], Reply]] = {
            ("POST", "/v1/billing/meter_events"): self._created,
            ("POST", "/v1/billing/meter_event_adjustments"): self._adjusted,
            ("GET", "/v1/billing/meters"): self._listed,
            ("POST", "/v2/billing/meter_event_session"): self._begun,
            ("POST", "/v2/billing/meter_event_stream"): self._streamed,
        }
        for meter in self.meters.values():
            routes["GET", f"/v1/billing/meters/{meter}/event_summaries"] = self._summarised
        take = routes.get((request.method, request.path))
        return _error(404, "Unrecognized request URL") if take is None else take(request)

    def _listed(self, request: Request) -> Reply:
        data = [{"id": each, "event_name": name} for name, each in self.meters.items()]
        return Reply(200, {"object": "list", "data": data, "has_more": False})

    def _created(self, request: Request) -> Reply:
        form = request.form
        if not form["timestamp"].isdigit():
            raise Wrong("timestamp must be a Unix timestamp")
        time = datetime.fromtimestamp(int(form["timestamp"]), self.now().tzinfo)
        event = self._event(
            form["event_name"],
            form["identifier"],
            form["payload[stripe_customer_id]"],
            form["payload[value]"],
            time,
        )
        self.events.append(event)
        return Reply(
            200,
            {
                "object": "billing.meter_event",
                "identifier": event.identifier,
                "event_name": event.name,
                "created": int(event.received.timestamp()),
                "timestamp": int(time.timestamp()),
                "livemode": False,
                "payload": {"stripe_customer_id": event.customer, "value": str(event.value)},
            },
        )

    def _event(
        self, name: str, identifier: str, customer: str, value: str, time: datetime
    ) -> Event:
        now = self.now()
        if name not in self.meters:
            raise Wrong(f"No active meter found for event name: {name}")
        if customer not in CUSTOMERS:
            raise Wrong(f"No such customer: {customer}")
        if not value.isdigit():
            raise Wrong("The value must be a whole number of at least 0")
        if not now - timedelta(days=35) <= time <= now + timedelta(minutes=5):
            raise Wrong("The timestamp must be within the past 35 days or 5 minutes ahead")
        if len(identifier) > 100:
            raise Wrong("The identifier is too long")
        if any(each.identifier == identifier and now - each.received < DAY for each in self.events):
            self.duplicates += 1
            raise Wrong(f"An event already exists with identifier {identifier}.")
        return Event(name, identifier, customer, Decimal(value), time, now)

    def _adjusted(self, request: Request) -> Reply:
        form = request.form
        wanted = form["cancel[identifier]"]
        found = [each for each in self.events if each.identifier == wanted]
        if form["type"] != "cancel" or not found or found[-1].name != form["event_name"]:
            raise Wrong(f"No meter event found with identifier {wanted}")
        if found[-1].cancelled:
            raise Wrong("The meter event has already been cancelled")
        if self.now() - found[-1].received >= DAY:
            raise Wrong("The meter event is too old to be cancelled")
        found[-1].cancelled = True
        return Reply(200, {"object": "billing.meter_event_adjustment", "status": "pending"})

    def _summarised(self, request: Request) -> Reply:
        names = {f"/v1/billing/meters/{each}/event_summaries": n for n, each in self.meters.items()}
        start, end = int(request.query["start_time"]), int(request.query["end_time"])
        if start % 60 or end % 60:
            raise Wrong("times must be aligned with minutes")
        found = [
            each.value
            for each in self.events
            if each.name == names[request.path]
            and each.customer == request.query["customer"]
            and start <= each.time.timestamp() < end
            and not each.cancelled
        ]
        summary: dict[str, Any] = {"aggregated_value": float(sum(found)), "start_time": start}
        return Reply(200, {"object": "list", "data": [summary] if found else []})

    def _begun(self, request: Request) -> Reply:
        if "stripe-version" not in request.headers:
            raise Wrong("v2 needs a Stripe-Version")
        token = f"token-{len(self.sessions)}"
        self.sessions[token] = self.now() + timedelta(minutes=15)
        return Reply(
            200,
            {
                "object": "v2.billing.meter_event_session",
                "authentication_token": token,
                "expires_at": self.sessions[token].isoformat(),
            },
        )

    def _streamed(self, request: Request) -> Reply:
        told: list[dict[str, Any]] = request.json["events"]
        if not 1 <= len(told) <= 100:
            raise Wrong("A batch has 1 to 100 events")
        for each in told:
            try:
                event = self._event(
                    each["event_name"],
                    each["identifier"],
                    each["payload"]["stripe_customer_id"],
                    each["payload"]["value"],
                    datetime.fromisoformat(each["timestamp"]),
                )
            except Wrong:
                # The stream is checked after it is taken: an error is reported by a webhook.
                continue
            self.events.append(event)
        return Reply(200, {})


def _error(status: int, message: str) -> Reply:
    return Reply(status, {"error": {"type": "invalid_request_error", "message": message}})
