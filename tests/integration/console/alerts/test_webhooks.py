"""Messages to a real server that fails in every way it can; each attempt is kept."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from uuid import uuid4

import pytest
from standardwebhooks import Webhook

from spanmeter.console.alerts import delivering
from spanmeter.console.alerts.delivering import PAUSES, deliver_due
from spanmeter.console.alerts.messages import fired_payload
from spanmeter.console.alerts.webhook import send_webhook
from spanmeter.metering.alerts.channels import WebhookChannel
from spanmeter.metering.alerts.finding import Finding, Window
from spanmeter.storage.alert_deliveries import Told, delivery_history, store_delivery
from spanmeter.storage.alerts import fire
from spanmeter.storage.connection import Connection

SECRET = "whsec_" + base64.b64encode(b"of alerts, for tests only").decode()
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
FINDING = Finding(
    *("spikes", "anomaly", {"tenant_id": "acme", "feature": None}),
    Window(NOW, NOW + timedelta(days=1)),
    "Tenant acme looks caught in a loop",
    "84.20 USD instead of 4.01 USD.",
    {"actual_cost": "84.20"},
    "tenant_looping",
)


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPS_SECRET", SECRET)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the pauses were over."""
    monkeypatch.setattr(delivering, "PAUSES", (0,) * len(PAUSES))


def channel(receiver: Any, path: str = "/hook") -> WebhookChannel:
    return WebhookChannel(name="ops", url=receiver.url + path, secret_env="OPS_SECRET")


def stored(connection: Connection, name: str = "ops") -> None:
    """One alert with a message to a channel."""
    fire(
        *(connection, FINDING._replace(rule=f"spikes-{uuid4().hex}"), "alerts-1"),
        lambda found: store_delivery(
            connection, found.alert_id, "fired", name, fired_payload(found)
        ),
    )


def history(connection: Connection) -> list[Told]:
    return delivery_history(connection, datetime.now(UTC) - timedelta(hours=1), 100)[::-1]


def test_a_message_is_signed_and_known_again_in_every_attempt(
    connection: Connection, receiver: Any, at_once: None
) -> None:
    stored(connection)
    receiver.answers += [(500, {}), (503, {})]
    channels = {"ops": channel(receiver)}
    assert [deliver_due(connection, channels) for _ in range(4)] == [0, 0, 1, 0]

    first, second, third = receiver.received
    assert first.body == second.body == third.body
    assert len({each.headers["webhook-id"] for each in receiver.received}) == 1
    for each in receiver.received:
        told = Webhook(SECRET).verify(each.body, each.headers)
        assert (told["type"], told["data"]["cause"]) == ("alert.fired", "tenant_looping")
        assert told["data"]["subject"] == {"tenant_id": "acme", "feature": None}
    kept = history(connection)
    assert [(each.attempt, each.outcome, each.status) for each in kept] == [
        (1, "failed", 500),
        (2, "failed", 503),
        (3, "delivered", 200),
    ]


def test_what_failed_is_not_tried_again_at_once(connection: Connection, receiver: Any) -> None:
    stored(connection)
    receiver.answers += [(500, {})] * 3
    channels = {"ops": channel(receiver)}
    deliver_due(connection, channels)
    (first,) = history(connection)
    assert first.began_at is not None
    assert first.again_at is not None
    assert 5 <= (first.again_at - first.began_at).total_seconds() < 30
    deliver_due(connection, channels)
    assert len(receiver.received) == 1


def test_at_last_it_is_given_up(
    connection: Connection, receiver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivering, "PAUSES", (0, 0))
    stored(connection)
    receiver.answers += [(500, {})] * 4
    for _ in range(4):
        deliver_due(connection, {"ops": channel(receiver)})
    assert [each.outcome for each in history(connection)] == ["failed", "failed", "given_up"]


def test_gone_is_for_good(connection: Connection, receiver: Any, at_once: None) -> None:
    stored(connection)
    receiver.answers += [(410, {})]
    deliver_due(connection, {"ops": channel(receiver)})
    deliver_due(connection, {"ops": channel(receiver)})
    assert [(each.outcome, each.status) for each in history(connection)] == [("given_up", 410)]


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_kept_to(
    connection: Connection, receiver: Any, at_once: None, form: str
) -> None:
    stored(connection)
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=600), usegmt=True)
    receiver.answers += [(429, {"retry-after": "600" if form == "seconds" else date})]
    deliver_due(connection, {"ops": channel(receiver)})
    (kept,) = history(connection)
    assert kept.again_at is not None
    assert 580 < (kept.again_at - datetime.now(UTC)).total_seconds() <= 600


def test_a_redirect_is_not_followed(connection: Connection, receiver: Any, at_once: None) -> None:
    stored(connection)
    receiver.answers += [(307, {"location": f"{receiver.url}/elsewhere"})]
    deliver_due(connection, {"ops": channel(receiver)})
    assert [each.path for each in receiver.received] == ["/hook"]
    (kept,) = history(connection)
    assert (kept.outcome, kept.detail) == ("failed", "answered 307: redirects are not followed")


def test_one_that_hangs_is_left_in_time(receiver: Any) -> None:
    receiver.answers += [(0, {})]
    sent = send_webhook(channel(receiver), uuid4(), "{}", timeout=0.5)
    assert (sent.delivered, sent.detail) == (False, "no answer within 0.5 s")


def test_one_that_hangs_holds_up_no_other(
    connection: Connection, receiver: Any, monkeypatch: pytest.MonkeyPatch, at_once: None
) -> None:
    monkeypatch.setattr("spanmeter.console.alerts.webhook.TIMEOUT", 2.0)
    stored(connection)
    stored(connection, "other")
    # Whichever comes first hangs.
    receiver.answers += [(0, {})]
    both = {"ops": channel(receiver), "other": channel(receiver)}
    assert deliver_due(connection, both) == 1
    assert {each.detail for each in history(connection)} == {"no answer within 2 s", None}


def test_nobody_there_no_secret_and_no_channel_are_told_without_the_address(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HIDDEN_URL", "http://127.0.0.1:1/token-4711")
    for name in ("nobody", "secretless", "removed"):
        stored(connection, name)
    channels = {
        "nobody": WebhookChannel(name="nobody", url_env="HIDDEN_URL", secret_env="OPS_SECRET"),
        "secretless": WebhookChannel(
            name="secretless", url="http://127.0.0.1:1", secret_env="NO_SUCH"
        ),
    }
    deliver_due(connection, channels)
    told = {each.channel: (each.outcome, each.detail) for each in history(connection)}
    assert told == {
        "nobody": ("failed", "cannot be reached: ConnectError"),
        "secretless": ("failed", "the variable NO_SUCH is not set where the alerts run"),
        "removed": ("given_up", "there is no such channel any more"),
    }
    assert "4711" not in json.dumps([str(each) for each in history(connection)])
