"""Webhooks as Standard Webhooks describe them: signed, known again by their id, and bounded in time and size.

The address is the operator's, who may name any host. A redirect is not followed: it would be somebody else's choice.
Source: github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md.
"""

import asyncio
import binascii
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final
from uuid import UUID

import httpx2
from standardwebhooks import Webhook

from spanmeter.console.alerts.sent import Sent, secret
from spanmeter.metering.alerts.channels import WebhookChannel
from spanmeter.metering.alerts.rule_file import is_web_address

TIMEOUT: Final = 15.0
"""Seconds for all of it: name, connection, request and the head of the answer. The specification asks for 15 to 30."""

_GONE: Final = 410
_LONGEST_WAIT: Final = 6 * 3600.0


def send_webhook(
    channel: WebhookChannel, message_id: UUID, payload: str, timeout: float | None = None
) -> Sent:
    """POST the payload once, within `timeout` seconds (default: `TIMEOUT`). Raises `SecretMissing`."""
    timeout = TIMEOUT if timeout is None else timeout
    url = channel.url if channel.url_env is None else secret(channel.url_env)
    if url is None or not is_web_address(url):
        return Sent(delivered=False, detail=f"{channel.url_env} holds no address of a webhook")
    try:
        signing = Webhook(secret(channel.secret_env))
    except (binascii.Error, ValueError, RuntimeError):
        return Sent(delivered=False, detail=f"{channel.secret_env} holds no whsec_ secret")
    now = datetime.now(UTC)
    headers = {
        "content-type": "application/json",
        "user-agent": "spanmeter",
        "webhook-id": str(message_id),
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": signing.sign(str(message_id), now, payload),
    }
    try:
        return asyncio.run(_post(url, headers, payload.encode(), timeout))
    except TimeoutError:
        return Sent(delivered=False, detail=f"no answer within {timeout:g} s")
    except (httpx2.HTTPError, httpx2.InvalidURL, UnicodeError) as error:
        # Its text may quote the address, which may be a secret.
        return Sent(delivered=False, detail=f"cannot be reached: {type(error).__name__}")


async def _post(url: str, headers: dict[str, str], body: bytes, seconds: float) -> Sent:
    async with (
        asyncio.timeout(seconds),
        httpx2.AsyncClient(timeout=None) as client,
        # The body of the answer is never read: its head tells all.
        client.stream("POST", url, headers=headers, content=body) as answer,
    ):
        return _judged(answer.status_code, answer.headers.get("retry-after"))


def _judged(status: int, retry_after: str | None) -> Sent:
    if 200 <= status < 300:
        return Sent(delivered=True, status=status)
    if 300 <= status < 400:
        detail = f"answered {status}: redirects are not followed"
        return Sent(delivered=False, detail=detail, status=status)
    return Sent(
        delivered=False,
        detail=f"answered {status}",
        status=status,
        hopeless=status == _GONE,
        wait=_seconds(retry_after),
    )


def _seconds(retry_after: str | None) -> float:
    """What `Retry-After` asks for, seconds or a date; 0 if it says nothing that can be understood."""
    if retry_after is None:
        return 0.0
    text = retry_after.strip()
    if text.isascii() and text.isdigit() and len(text) < 10:
        return min(float(text), _LONGEST_WAIT)
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    seconds = (until.replace(tzinfo=until.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return min(max(seconds, 0.0), _LONGEST_WAIT)
