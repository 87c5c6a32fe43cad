"""OpenMeter's events: CloudEvents that `id` and `source` tell from all others, where it is set to know duplicates.

Sources: openmeter.io/docs/metering/events/overview, its OpenAPI document (`POST`, `GET /api/v1/events`). Its open
source does not look for duplicates unless `dedupe.enabled` is set: without `deduplicates = true` in the file of exports
what is not known to have arrived is looked for before it is sent again.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from spanmeter.console.exports.api import Answer, Api, as_object, as_objects
from spanmeter.console.exports.cloudevents import BATCH, DEFAULT_SOURCE, event, send_batch
from spanmeter.console.exports.configuration import Configured
from spanmeter.console.exports.target import Outcome, Rules, Usage
from spanmeter.storage.exports import Intent

PATH: Final = "/api/v1/events"

REMEMBERED: Final = timedelta(days=31)
"""How long a duplicate is relied on to be known; it is for 32 days."""

VISIBLE_AFTER: Final = timedelta(minutes=5)
"""After that, an event that is not listed is taken not to have arrived. Events are listed once they are stored."""


class OpenMeter:
    """OpenMeter. Customers are subjects; corrections are events with the difference."""

    def __init__(self, configured: Configured) -> None:
        known = bool(configured.options.get("deduplicates", False))
        self.rules = Rules(
            batch=BATCH,
            step=None,
            resend_within=REMEMBERED if known else timedelta(0),
        )
        self._api = Api(configured, configured.options["address"])
        self._source = str(configured.options.get("source", DEFAULT_SOURCE))
        self._visible_after = configured.options.get("visible_after", VISIBLE_AFTER)

    def payload(self, usage: Usage) -> Mapping[str, Any]:
        return event(usage, self._source)

    def obstacle(self, usage: Usage, now: datetime) -> str | None:
        return None

    def send(self, intents: Sequence[Intent]) -> Sequence[Outcome]:
        return send_batch(self._api, PATH, intents)

    def found(self, intent: Intent, told: Decimal, now: datetime) -> bool | None:
        query = {"id": intent.dedupe_id, "subject": str(intent.payload["subject"]), "limit": "100"}
        answer = self._api.ask("GET", PATH, params=query)
        if not isinstance(answer, Answer) or not answer.succeeded:
            return None
        if (listed := as_objects(answer.body)) is None:
            return None
        events = [as_object(each.get("event")) for each in listed]
        wanted = intent.dedupe_id, intent.payload["source"]
        if any((each.get("id"), each.get("source")) == wanted for each in events):
            return True
        sent = intent.sent_at
        return False if sent is not None and now - sent >= self._visible_after else None

    def close(self) -> None:
        self._api.close()
