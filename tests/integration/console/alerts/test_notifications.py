"""E-mail to a real SMTP server, and Slack's form to a server in its place."""

from __future__ import annotations

import json
from asyncio import Server
from collections.abc import Generator
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import Message
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from apprise.plugins.slack import NotifySlack

from spanmeter.console.alerts.messages import test_payload as payload_of_test
from spanmeter.console.alerts.notification import send_notification
from spanmeter.console.alerts.sent import SecretMissing
from spanmeter.metering.alerts.channels import AppriseChannel, EmailChannel

# apprise imports it on Pythons that still have it.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")


class OnAFreePort(Controller):
    """Asked for port 0, it looks for itself at the one it got."""

    port: int

    def _trigger_server(self) -> None:
        assert isinstance(self.server, Server)
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]


class Mailbox:
    """What an SMTP server has taken, and whether it takes more."""

    def __init__(self) -> None:
        self.messages: list[tuple[list[str], Message]] = []
        self.logins: list[tuple[bytes, bytes]] = []
        self.refusal: str | None = None

    async def handle_DATA(  # noqa: N802 (what aiosmtpd calls)
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        if self.refusal is not None:
            return self.refusal
        assert isinstance(envelope.content, bytes)
        self.messages.append((list(envelope.rcpt_tos), message_from_bytes(envelope.content)))
        return "250 taken"

    def login(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append((data.login, data.password))
        return AuthResult(success=True)


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
def port(mailbox: Mailbox) -> Generator[int]:
    controller = OnAFreePort(
        mailbox,
        hostname="127.0.0.1",
        port=0,
        authenticator=mailbox.login,
        auth_require_tls=False,
    )
    controller.start()
    yield controller.port
    controller.stop()


def channel(port: int, user: str | None = None, password_env: str | None = None) -> EmailChannel:
    return EmailChannel(
        name="mail",
        host="127.0.0.1",
        port=port,
        security="none",
        sender="spanmeter@example.com",
        to=("ops@example.com", "cfo@example.com"),
        user=user,
        password_env=password_env,
    )


def test_an_e_mail_reaches_everybody_it_is_for(mailbox: Mailbox, port: int) -> None:
    sent = send_notification(channel(port), payload_of_test("mail"))
    assert sent.delivered, sent.detail
    assert {address for to, _ in mailbox.messages for address in to} == {
        "ops@example.com",
        "cfo@example.com",
    }
    _, message = mailbox.messages[0]
    subject = str(make_header(decode_header(message["subject"])))
    assert subject == "[spanmeter] Test: channel mail works"
    assert "spanmeter@example.com" in message["from"]
    body = message.get_payload(decode=True)
    assert isinstance(body, bytes)
    assert b"Nothing has happened." in body


def test_it_logs_in_with_the_password_of_the_environment(
    mailbox: Mailbox, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_password = channel(port, user="us@example.com", password_env="MAIL_PASSWORD")
    with pytest.raises(SecretMissing, match="MAIL_PASSWORD"):
        send_notification(with_password, payload_of_test("mail"))
    monkeypatch.setenv("MAIL_PASSWORD", "p@ss:w/rd?&")
    assert send_notification(with_password, payload_of_test("mail")).delivered
    assert set(mailbox.logins) == {(b"us@example.com", b"p@ss:w/rd?&")}


def test_a_refusal_is_told_without_a_secret(
    mailbox: Mailbox, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAIL_PASSWORD", "hunter-4711")
    mailbox.refusal = "550 no room for hunter-4711"
    refused = channel(port, user="us@example.com", password_env="MAIL_PASSWORD")
    sent = send_notification(refused, payload_of_test("mail"))
    assert not sent.delivered
    assert sent.detail
    assert "4711" not in sent.detail


def test_slack_gets_its_own_form(receiver: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NotifySlack, "webhook_url", f"{receiver.url}/services")
    monkeypatch.setenv("SLACK", "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#ops")
    slack = AppriseChannel(name="slack", url_env="SLACK")
    sent = send_notification(slack, payload_of_test("slack"))
    assert sent.delivered, sent.detail
    (posted,) = receiver.received
    assert posted.path == "/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"
    document = json.loads(posted.body)
    assert document["channel"] == "#ops"
    assert "Test: channel slack works" in json.dumps(document)

    receiver.answers += [(403, {})]
    refused = send_notification(slack, payload_of_test("slack"))
    assert not refused.delivered
    assert refused.detail
    assert "TIiajkdnlazkcOXrIdevi7FQ" not in refused.detail


def test_an_address_that_apprise_does_not_know_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NONSENSE", "nonsense://4711")
    sent = send_notification(AppriseChannel(name="x", url_env="NONSENSE"), payload_of_test("x"))
    assert (sent.delivered, sent.detail) == (
        False,
        "apprise knows no such address: see its list of services",
    )
