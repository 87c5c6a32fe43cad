"""Lago's events, in batches: `transaction_id` tells an event from all others, for ever.

Source: docs.getlago.com/api-reference/events/batch, .../events/get-specific. A batch with an event that Lago has is
refused, with the events that it has; the others are sent again.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from spanmeter.console.exports.api import Answer, Api, as_object, as_text
from spanmeter.console.exports.configuration import Configured
from spanmeter.console.exports.target import Delivered, NotTaken, Outcome, Refused, Rules, Usage
from spanmeter.storage.exports import Intent

ADDRESS: Final = "https://api.getlago.com"
BATCH: Final = 100

_INVALID: Final = 422
_DUPLICATE: Final = "value_already_exist"


class Lago:
    """Lago. Customers are external ids of subscriptions; corrections are events with the difference."""

    rules = Rules(batch=BATCH, step=None, resend_within=None)

    def __init__(self, configured: Configured) -> None:
        self._api = Api(configured, ADDRESS)

    def payload(self, usage: Usage) -> Mapping[str, Any]:
        return {
            "transaction_id": usage.dedupe_id,
            "external_subscription_id": usage.customer,
            "code": usage.meter.name,
            "timestamp": int(usage.window_start.timestamp()),
            "properties": {
                **{name: value for name, value in usage.series.dimensions if value is not None},
                "value": f"{usage.value:f}",
            },
        }

    def obstacle(self, usage: Usage, now: datetime) -> str | None:
        return None

    def send(self, intents: Sequence[Intent]) -> Sequence[Outcome]:
        events = [intent.payload for intent in intents]
        answer = self._api.ask("POST", "/api/v1/events/batch", json={"events": events})
        if not isinstance(answer, Answer):
            return [answer] * len(intents)
        if answer.succeeded:
            return [Delivered()] * len(intents)
        body = as_object(answer.body)
        details = as_object(body.get("error_details"))
        if answer.status == _INVALID and any(str(at) in details for at in range(len(intents))):
            return [_of_one(details.get(str(at))) for at in range(len(intents))]
        return [answer.outcome(as_text(body.get("error")))] * len(intents)

    def found(self, intent: Intent, told: Decimal, now: datetime) -> bool | None:
        return None

    def close(self) -> None:
        self._api.close()


def _of_one(wrong: object) -> Outcome:
    """What a refused batch means for one of its events: with nothing wrong, it is sent again without the others."""
    found = as_object(wrong)
    if not found:
        return NotTaken("another event of the batch was refused", 0.0)
    if found.get("transaction_id") == [_DUPLICATE] and len(found) == 1:
        return Delivered()
    return Refused("; ".join(f"{name}: {told}" for name, told in found.items())[:300])
