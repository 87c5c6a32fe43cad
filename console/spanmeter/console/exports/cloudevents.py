"""CloudEvents over HTTP, in batches: for whatever takes them.

Source: CloudEvents 1.0.2, JSON event format section 4 (JSON batch format), HTTP protocol binding section 3.3. An event
is told from all others by `source` and `id` together.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from spanmeter.console.exports.api import Answer, Api, as_object, as_text
from spanmeter.console.exports.configuration import Configured
from spanmeter.console.exports.target import Delivered, Outcome, Rules, Usage
from spanmeter.storage.exports import Intent

BATCH: Final = 100

MEDIA_TYPE: Final = "application/cloudevents-batch+json"

DEFAULT_SOURCE: Final = "spanmeter"


class CloudEvents:
    """Any receiver of CloudEvents. Corrections are events with the difference, which may be below 0."""

    rules = Rules(batch=BATCH, step=None, resend_within=None)

    def __init__(self, configured: Configured) -> None:
        self._api = Api(configured, configured.options["address"])
        self._source = str(configured.options.get("source", DEFAULT_SOURCE))

    def payload(self, usage: Usage) -> Mapping[str, Any]:
        return event(usage, self._source)

    def obstacle(self, usage: Usage, now: datetime) -> str | None:
        return None

    def send(self, intents: Sequence[Intent]) -> Sequence[Outcome]:
        return send_batch(self._api, "", intents)

    def found(self, intent: Intent, told: Decimal, now: datetime) -> bool | None:
        return None

    def close(self) -> None:
        self._api.close()


def event(usage: Usage, source: str) -> Mapping[str, Any]:
    """Usage as a CloudEvent: its type is the meter, its subject the customer. A value is text: no parser rounds it."""
    return {
        "specversion": "1.0",
        "id": usage.dedupe_id,
        "source": source,
        "type": usage.meter.name,
        "subject": usage.customer,
        "time": rfc3339(usage.window_start),
        "datacontenttype": "application/json",
        "data": {
            **{name: value for name, value in usage.series.dimensions if value is not None},
            "value": f"{usage.value:f}",
            "window_start": rfc3339(usage.window_start),
            "window_end": rfc3339(usage.window_end),
        },
    }


def rfc3339(moment: datetime) -> str:
    """A moment in UTC as RFC 3339 writes it."""
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def send_batch(api: Api, path: str, intents: Sequence[Intent]) -> Sequence[Outcome]:
    """Send events in one batch, which is taken wholly or not at all."""
    answer = api.ask(
        "POST",
        path,
        json=[intent.payload for intent in intents],
        headers={"content-type": MEDIA_TYPE},
    )
    if not isinstance(answer, Answer):
        return [answer] * len(intents)
    if answer.succeeded:
        return [Delivered()] * len(intents)
    body = as_object(answer.body)
    said = as_text(body.get("detail")) or as_text(body.get("message"))
    return [answer.outcome(said)] * len(intents)
