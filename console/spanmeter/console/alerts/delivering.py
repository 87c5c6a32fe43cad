"""Messages on their way: each attempt is kept, failed ones are followed by others, ever later, for some days."""

import logging
import random
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from datetime import UTC, datetime, timedelta
from typing import Final

from spanmeter.console.alerts.notification import send_notification
from spanmeter.console.alerts.sent import SecretMissing, Sent
from spanmeter.console.alerts.webhook import send_webhook
from spanmeter.metering.alerts.channels import (
    AppriseChannel,
    Channel,
    EmailChannel,
    WebhookChannel,
)
from spanmeter.storage.alert_deliveries import (
    Attempt,
    Delivery,
    Outcome,
    due_deliveries,
    keep_attempt,
)
from spanmeter.storage.connection import Connection

logger = logging.getLogger(__name__)

PAUSES: Final = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Seconds after each failed attempt, as Standard Webhooks recommend; after the last there is none."""

AT_ONCE: Final = 8
"""Messages that are sent side by side: a receiver that hangs holds up no other."""

MOST: Final = 100
"""Messages of one round."""


def deliver_due(connection: Connection, channels: Mapping[str, Channel]) -> int:
    """Send what is due, keep what came of each; return how many were delivered. Raises DatabaseUnavailable."""
    due = due_deliveries(connection, MOST)
    if not due:
        return 0
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="spanmeter-alerts") as threads:
        trying = {threads.submit(_try, each, channels): each for each in due}
        return sum(_kept(connection, done, trying[done]) for done in as_completed(trying))


def send(channel: Channel, delivery: Delivery) -> Sent:
    """Send a message once. What keeps it from being sent is told, never raised."""
    try:
        match channel:
            case WebhookChannel():
                return send_webhook(channel, delivery.delivery_id, delivery.payload)
            case EmailChannel() | AppriseChannel():
                return send_notification(channel, delivery.payload)
            case _:
                raise AssertionError(f"a channel of no kind that is known: {type(channel)}")
    except SecretMissing as error:
        return Sent(delivered=False, detail=str(error))


def attempted(delivery: Delivery, began_at: datetime, sent: Sent, *, once: bool = False) -> Attempt:
    """An attempt with what is to follow: nothing, if it was delivered, is hopeless, or was the last of all."""
    ended_at = datetime.now(UTC)
    again_at = (
        None if once or sent.delivered or sent.hopeless else _again_at(delivery, sent, ended_at)
    )
    outcome: Outcome = (
        "delivered" if sent.delivered else "given_up" if again_at is None else "failed"
    )
    return Attempt(
        *(delivery.delivery_id, delivery.attempts + 1, began_at, ended_at),
        *(outcome, sent.status, sent.detail, again_at),
    )


def _try(delivery: Delivery, channels: Mapping[str, Channel]) -> Attempt:
    began_at = datetime.now(UTC)
    channel = channels.get(delivery.channel)
    if channel is None:
        gone = Sent(delivered=False, detail="there is no such channel any more", hopeless=True)
        return attempted(delivery, began_at, gone)
    return attempted(delivery, began_at, send(channel, delivery))


def _kept(connection: Connection, done: Future[Attempt], delivery: Delivery) -> bool:
    attempt = done.result()
    keep_attempt(connection, attempt)
    told = logger.info if attempt.outcome == "delivered" else logger.warning
    told(
        *("alert %s to channel %s, attempt %d: %s", delivery.event, delivery.channel),
        *(attempt.attempt, ", ".join(filter(None, (attempt.outcome, attempt.detail)))),
    )
    return attempt.outcome == "delivered"


def _again_at(delivery: Delivery, sent: Sent, ended_at: datetime) -> datetime | None:
    pauses: Sequence[int] = PAUSES[delivery.attempts :]
    if not pauses:
        return None
    # Up to a tenth later, so that not all come back at once.
    jittered = pauses[0] * random.uniform(1.0, 1.1)  # noqa: S311
    return ended_at + timedelta(seconds=max(jittered, sent.wait))
