"""E-mail, and the services that apprise knows: Slack, Teams, PagerDuty and a hundred others."""

import re
from typing import Any, Final
from urllib.parse import quote, urlencode

from apprise import Apprise, AppriseAsset, NotifyFormat
from apprise.result import AppriseResult

from spanmeter.console.alerts.messages import as_text
from spanmeter.console.alerts.sent import Sent, secret
from spanmeter.metering.alerts.channels import AppriseChannel, EmailChannel

TIMEOUT: Final = 15.0
"""Seconds for a connection, and for each answer."""

_SCHEMES: Final = {"starttls": "mailtos", "tls": "mailtos", "none": "mailto"}
_MODES: Final = {"starttls": "starttls", "tls": "ssl", "none": "insecure"}

_DETAIL: Final = 300
"""Characters of a reason that are kept."""


def send_notification(
    channel: EmailChannel | AppriseChannel, payload: str, timeout: float = TIMEOUT
) -> Sent:
    """Send the payload as text once. Raises `SecretMissing`."""
    address = (
        secret(channel.url_env) if isinstance(channel, AppriseChannel) else _mail_address(channel)
    )
    # Nothing is written to disk, and a redirect is somebody else's choice.
    asset = AppriseAsset(
        app_id="spanmeter",
        app_desc="spanmeter",
        async_mode=False,
        http_redirects=False,
        storage_mode="memory",
        secure_logging=True,
    )
    sender: Any = Apprise(asset=asset)  # its own types are partly unknown
    if not sender.add(_bounded(address, timeout)):
        return Sent(
            delivered=False, detail="apprise knows no such address: see its list of services"
        )
    text = as_text(payload)
    result = sender.notify(
        text.body, title=text.title, body_format=NotifyFormat.TEXT, timeout=2 * timeout
    )
    return Sent(delivered=bool(result), detail=None if result else _reason(result, address))


def _mail_address(channel: EmailChannel) -> str:
    login = ""
    if channel.user is not None:
        password = (
            "" if channel.password_env is None else f":{_quoted(secret(channel.password_env))}"
        )
        login = f"{_quoted(channel.user)}{password}@"
    port = "" if channel.port is None else f":{channel.port}"
    asked = {
        "smtp": channel.host,
        "from": channel.sender,
        "to": ",".join(channel.to),
        "mode": _MODES[channel.security],
    }
    return f"{_SCHEMES[channel.security]}://{login}{channel.host}{port}/?{urlencode(asked)}"


def _quoted(text: str) -> str:
    return quote(text, safe="")


def _bounded(address: str, timeout: float) -> str:
    """The address with limits of time, which apprise reads from it."""
    return f"{address}{'&' if '?' in address else '?'}cto={timeout:g}&rto={timeout:g}"


def _reason(result: AppriseResult, address: str) -> str:
    """The last thing that apprise complains of, without anything of the address."""
    said = [entry.message for entry in result.logs() if entry.level in {"WARNING", "ERROR"}]
    told = said[-1] if said else "it was not taken"
    for part in sorted(re.split(r"[:/@?&=,]+", address), key=len, reverse=True):
        if len(part) >= 4:
            told = told.replace(part, "...")
    return told[:_DETAIL]
