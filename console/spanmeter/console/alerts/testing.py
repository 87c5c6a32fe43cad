"""A message that is marked as a test, sent through a channel as a real one would be."""

from datetime import UTC, datetime

from spanmeter.console.alerts.delivering import attempted, send
from spanmeter.console.alerts.messages import test_payload
from spanmeter.console.alerts.sent import Sent
from spanmeter.metering.alerts.channels import Channel
from spanmeter.storage.alert_deliveries import Delivery, keep_attempt, store_delivery
from spanmeter.storage.connection import Connection


def send_test(connection: Connection, channel: Channel) -> Sent:
    """Store it, send it once, keep what came of it, and return that. Raises DatabaseUnavailable."""
    payload = test_payload(channel.name)
    delivery_id = store_delivery(connection, None, "test", channel.name, payload)
    if delivery_id is None:
        raise AssertionError("a test is a message of its own")
    began_at = datetime.now(UTC)
    delivery = Delivery(delivery_id, None, "test", channel.name, payload, began_at, 0)
    sent = send(channel, delivery)
    keep_attempt(connection, attempted(delivery, began_at, sent, once=True))
    return sent
