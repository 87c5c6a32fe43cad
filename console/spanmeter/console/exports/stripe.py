"""Stripe's meter events: one for each hour or day of a customer's meter, by API v1, or v2's stream in batches.

Sources: docs.stripe.com/api/billing/meter-event, .../meter-event-adjustment, .../meter-event_summary,
docs.stripe.com/api/v2/billing-meter, .../meter-event-session, .../meter-event-stream. A value is a whole number: what
is left over goes along with the next. `identifier` is known for a rolling 24 hours, and a duplicate is refused as an
error, which is as good as taken.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from spanmeter.console.exports.api import Answer, Api, as_object, as_objects, as_text
from spanmeter.console.exports.cloudevents import rfc3339
from spanmeter.console.exports.configuration import Configured
from spanmeter.console.exports.correcting import LESS_THAN_NOTHING
from spanmeter.console.exports.target import (
    Delivered,
    NotTaken,
    Outcome,
    Rules,
    TargetUnusable,
    Unknown,
    Usage,
)
from spanmeter.storage.exports import Intent

ADDRESS: Final = "https://api.stripe.com"
STREAM_ADDRESS: Final = "https://meter-events.stripe.com"
VERSION: Final = "2025-09-30.clover"
"""Of v2, which refuses requests without one."""

STREAM_BATCH: Final = 100

OLDEST: Final = timedelta(days=35)
"""Of a timestamp."""

KNOWN_FOR: Final = timedelta(hours=23)
"""How long an identifier is relied on to be known: an hour less than it is, for clocks that differ."""

CANCELLABLE_FOR: Final = timedelta(hours=23)
"""How long after it was received an event is relied on to be cancelled: an hour less than it can be."""

_DUPLICATE: Final = ("already exists with identifier", "already been cancel")
"""What the messages of errors have that say so: a duplicate event, a duplicate cancellation."""


class Stripe:
    """Stripe Billing. More than was told is another event; less, a cancellation of all of the window and one anew."""

    def __init__(self, configured: Configured) -> None:
        self._streams = configured.options.get("api", "v1") == "v2"
        self.rules = Rules(
            batch=STREAM_BATCH if self._streams else 1,
            step=Decimal(1),
            cancels="less",
            resend_within=KNOWN_FOR,
        )
        self._api = Api(configured, ADDRESS, stripe_version=VERSION)
        self._stream = Stream(configured, self._api)
        self._meters: dict[str, str] = {}

    def payload(self, usage: Usage) -> Mapping[str, Any]:
        return {
            "event_name": usage.meter.name,
            "identifier": usage.dedupe_id,
            "timestamp": rfc3339(usage.window_start),
            "payload": {"stripe_customer_id": usage.customer, "value": f"{usage.value:f}"},
        }

    def cancellation(self, intent: Intent, dedupe_id: str) -> Mapping[str, Any]:
        return {
            "event_name": intent.meter,
            "type": "cancel",
            "cancel": {"identifier": intent.dedupe_id},
        }

    def obstacle(self, usage: Usage, now: datetime) -> str | None:
        if usage.value < 0:
            return LESS_THAN_NOTHING
        if usage.window_start < now - OLDEST + timedelta(hours=1):
            return "Stripe takes no event that is older than 35 days"
        return None

    def cancel_obstacle(self, intent: Intent, now: datetime) -> str | None:
        if intent.first_sent_at is None or now - intent.first_sent_at > CANCELLABLE_FOR:
            return "Stripe cancels no event that it has had for 24 hours"
        return None

    def send(self, intents: Sequence[Intent]) -> Sequence[Outcome]:
        usage = [intent for intent in intents if intent.kind == "usage"]
        if self._streams and usage:
            sent = self._stream.send(usage)
            outcomes = {each.dedupe_id: sent for each in usage}
        else:
            outcomes = {each.dedupe_id: self._event(each) for each in usage}
        for each in intents:
            if each.kind == "cancel":
                outcomes[each.dedupe_id] = self._cancel(each)
        return [outcomes[each.dedupe_id] for each in intents]

    def found(self, intent: Intent, told: Decimal, now: datetime) -> bool | None:
        """By the sum of the window: it has the event if the sum is what is confirmed, and this too."""
        if intent.kind == "cancel" or (summed := self._summed(intent)) is None:
            return None
        return {told + intent.value: True, told: False}.get(summed)

    def close(self) -> None:
        self._stream.close()
        self._api.close()

    def _event(self, intent: Intent) -> Outcome:
        form = flat(intent.payload)
        form["timestamp"] = str(_unix(intent.window_start))
        return self._posted("/v1/billing/meter_events", form)

    def _cancel(self, intent: Intent) -> Outcome:
        return self._posted("/v1/billing/meter_event_adjustments", flat(intent.payload))

    def _posted(self, path: str, form: Mapping[str, str]) -> Outcome:
        answer = self._api.ask("POST", path, data=form)
        return answer if not isinstance(answer, Answer) else outcome(answer)

    def _summed(self, intent: Intent) -> Decimal | None:
        meter = self._meter_id(intent.meter)
        if meter is None:
            return None
        query = {
            "customer": str(as_object(intent.payload["payload"])["stripe_customer_id"]),
            "start_time": str(_unix(intent.window_start)),
            "end_time": str(_unix(intent.window_end)),
        }
        path = f"/v1/billing/meters/{meter}/event_summaries"
        summaries = _listed(self._api.ask("GET", path, params=query))
        if summaries is None:
            return None
        try:
            values = [Decimal(str(each.get("aggregated_value"))) for each in summaries]
        except InvalidOperation:
            return None
        return sum(values, Decimal())

    def _meter_id(self, event_name: str) -> str | None:
        """Stripe's id of an active meter, by the name of its events."""
        if not self._meters:
            query = {"status": "active", "limit": "100"}
            for each in _listed(self._api.ask("GET", "/v1/billing/meters", params=query)) or []:
                name, meter = as_text(each.get("event_name")), as_text(each.get("id"))
                if name and meter:
                    self._meters[name] = meter
        return self._meters.get(event_name)


class Stream:
    """v2's stream: batches under a session of 15 minutes, checked by Stripe after they were taken."""

    def __init__(self, configured: Configured, api: Api) -> None:
        self._api = api
        self._stream = Api(configured, STREAM_ADDRESS, scheme="none", stripe_version=VERSION)
        self._token: str | None = None
        self._until = datetime.min.replace(tzinfo=UTC)

    def send(self, intents: Sequence[Intent]) -> Outcome:
        """Send the events in one batch, which is taken wholly or not at all."""
        begun = self._begin()
        if begun is not None:
            return begun
        answer = self._stream.ask(
            "POST",
            "/v2/billing/meter_event_stream",
            json={"events": [intent.payload for intent in intents]},
            headers={"authorization": f"Bearer {self._token}"},
        )
        if not isinstance(answer, Answer):
            return answer
        if answer.status == _UNAUTHORIZED:
            self._token = None
            return NotTaken("the session is over", 0.0)
        return outcome(answer)

    def close(self) -> None:
        """Let go of connections."""
        self._stream.close()

    def _begin(self) -> Outcome | None:
        """Have a session; what went wrong if there is none."""
        if self._token is not None and datetime.now(UTC) < self._until:
            return None
        answer = self._api.ask("POST", "/v2/billing/meter_event_session", json={})
        if not isinstance(answer, Answer):
            return NotTaken(answer.reason)
        if not answer.succeeded:
            failed = outcome(answer)
            return NotTaken(failed.reason) if isinstance(failed, Unknown) else failed
        body = as_object(answer.body)
        self._token = as_text(body.get("authentication_token"))
        if self._token is None:
            raise TargetUnusable("Stripe's answer to a session has no token")
        self._until = datetime.now(UTC) + SESSION
        return None


SESSION: Final = timedelta(minutes=14)
"""How long a session is used; it lasts for 15 minutes."""

_UNAUTHORIZED: Final = 401


def outcome(answer: Answer) -> Outcome:
    """What Stripe's answer means: a duplicate is as good as taken."""
    if answer.succeeded:
        return Delivered(as_text(as_object(answer.body).get("identifier")))
    said = as_text(as_object(as_object(answer.body).get("error")).get("message"))
    if said is not None and any(words in said for words in _DUPLICATE):
        return Delivered()
    return answer.outcome(said)


def flat(payload: Mapping[str, Any], within: str = "") -> dict[str, str]:
    """A payload as v1 takes it: `payload[value]=1`."""
    told: dict[str, str] = {}
    for name, value in payload.items():
        key = f"{within}[{name}]" if within else name
        inner = as_object(value)
        told |= flat(inner, key) if inner else {key: str(value)}
    return told


def _listed(answer: Answer | Outcome) -> Sequence[Mapping[str, Any]] | None:
    if not isinstance(answer, Answer) or not answer.succeeded:
        return None
    return as_objects(as_object(answer.body).get("data"))


def _unix(moment: datetime) -> int:
    return int(moment.timestamp())
