"""Chargebee's usages: one for each day of a subscription's item price.

Source: apidocs.chargebee.com/docs/api/usages. There is one usage for a subscription, item price and date, so that a
correction deletes it and adds it again. At most 5,000 usages are taken in a subscription's lifetime: a day is one.
The usage's id is ours, and Chargebee knows it for ever.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from urllib.parse import quote

from spanmeter.console.exports.api import Answer, Api, as_object, as_text
from spanmeter.console.exports.configuration import Configured
from spanmeter.console.exports.correcting import LESS_THAN_NOTHING
from spanmeter.console.exports.target import (
    Delivered,
    Outcome,
    Refused,
    Rules,
    TargetUnusable,
    Usage,
)
from spanmeter.storage.exports import Intent

ADDRESS: Final = "https://{site}.chargebee.com"

ID_LENGTH: Final = 50
"""Characters of a usage's id; so many of ours are 200 bits."""

_DUPLICATE: Final = "duplicate_entry"
_GONE: Final = 404


class Chargebee:
    """Chargebee. Customers are ids of subscriptions, meters those of item prices."""

    rules = Rules(batch=1, step=None, resend_within=None, cancels="any change")

    def __init__(self, configured: Configured) -> None:
        if any(meter.measured.by for meter in configured.meters):
            raise TargetUnusable(
                "Chargebee takes one usage for a subscription, item price and date: its meters can be by nothing"
            )
        address = ADDRESS.format(site=configured.options["site"])
        self._api = Api(configured, address, scheme="Basic")

    def payload(self, usage: Usage) -> Mapping[str, Any]:
        return {
            "subscription": usage.customer,
            "usage": {
                "id": usage.dedupe_id[:ID_LENGTH],
                "item_price_id": usage.meter.name,
                "quantity": f"{usage.value:f}",
                "usage_date": str(int(usage.window_start.timestamp())),
            },
        }

    def cancellation(self, intent: Intent, dedupe_id: str) -> Mapping[str, Any]:
        return {
            "subscription": intent.payload["subscription"],
            "usage": {"id": intent.payload["usage"]["id"]},
        }

    def obstacle(self, usage: Usage, now: datetime) -> str | None:
        return LESS_THAN_NOTHING if usage.value < 0 else None

    def cancel_obstacle(self, intent: Intent, now: datetime) -> str | None:
        return None

    def send(self, intents: Sequence[Intent]) -> Sequence[Outcome]:
        return [self._sent(intent) for intent in intents]

    def found(self, intent: Intent, told: Decimal, now: datetime) -> bool | None:
        return None

    def close(self) -> None:
        self._api.close()

    def _sent(self, intent: Intent) -> Outcome:
        subscription = quote(str(intent.payload["subscription"]), safe="")
        what = "delete_usage" if intent.kind == "cancel" else "usages"
        answer = self._api.ask(
            "POST",
            f"/api/v2/subscriptions/{subscription}/{what}",
            data=dict(intent.payload["usage"]),
            headers={"chargebee-idempotency-key": intent.dedupe_id},
        )
        if not isinstance(answer, Answer):
            return answer
        return self._outcome(intent, answer, subscription)

    def _outcome(self, intent: Intent, answer: Answer, subscription: str) -> Outcome:
        body = as_object(answer.body)
        if answer.succeeded:
            return Delivered(as_text(as_object(body.get("usage")).get("id")))
        if intent.kind == "cancel" and answer.status == _GONE and intent.attempts:
            # It is gone since we deleted it and did not get to know.
            return Delivered()
        if body.get("api_error_code") == _DUPLICATE:
            return self._is_ours(intent, subscription)
        return answer.outcome(as_text(body.get("message")))

    def _is_ours(self, intent: Intent, subscription: str) -> Outcome:
        """A duplicate is ours if it has our id; another of the same date is somebody else's."""
        query = {"id": str(intent.payload["usage"]["id"])}
        answer = self._api.ask("GET", f"/api/v2/subscriptions/{subscription}/usages", params=query)
        if not isinstance(answer, Answer):
            return answer
        usage = as_object(as_object(answer.body).get("usage"))
        if answer.succeeded and usage.get("id") == query["id"]:
            return Delivered(query["id"])
        return Refused("Chargebee has another usage of this subscription, item price and date")
