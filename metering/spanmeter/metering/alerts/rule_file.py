"""The rules of alerts as text, which is TOML: read, checked, and made ready.

    [channel.ops]
    type = "webhook"
    url = "https://ops.example.com/hooks/spanmeter"
    secret_env = "SPANMETER_ALERT_SECRET"

    [[rule]]
    name = "spikes"
    kind = "anomaly"
    minimum_cost = 50
    channels = ["ops"]

What a kind can be asked is in `alert_rules`, what a channel needs in `channels`.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

from spanmeter.metering.alerts.alert_rules import KINDS, AlertRule
from spanmeter.metering.alerts.channels import (
    TYPES,
    AppriseChannel,
    Channel,
    EmailChannel,
    WebhookChannel,
)
from spanmeter.metering.alerts.fields import AlertRulesError, read_fields
from spanmeter.metering.reading import shown

MAX_BYTES: Final = 64 * 1024
MOST: Final = 100
"""Rules, and channels, in one file."""

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_WEB_ADDRESS: Final = re.compile(
    r"https?://(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?(?:[/?][!-~]*)?"
)
_CHANNELS: Final[Mapping[str, type[Channel]]] = {
    "webhook": WebhookChannel,
    "email": EmailChannel,
    "apprise": AppriseChannel,
}

DEFAULTS_TEXT: Final = """\
# The alerts that spanmeter comes with. Without a channel they are listed by `spanmeter alerts list`, and sent nowhere.

# [channel.ops]
# type = "webhook"
# url = "https://ops.example.com/hooks/spanmeter"
# secret_env = "SPANMETER_ALERT_SECRET"

[[rule]]
name = "budgets"
kind = "budget_threshold"

[[rule]]
name = "forecasts"
kind = "forecast"

[[rule]]
name = "spikes"
kind = "anomaly"

[[rule]]
name = "costly-calls"
kind = "peer_cost"
per = "call"

# A tenant that costs three times as much as its peers may just be a large one.
# [[rule]]
# name = "costly-tenants"
# kind = "peer_cost"
# per = "tenant"

[[rule]]
name = "unattributed"
kind = "unattributed_share"

[[rule]]
name = "unpriced"
kind = "unpriced_share"

[[rule]]
name = "silence"
kind = "provider_gap"

[[rule]]
name = "missing-records"
kind = "missing_records"
"""


@dataclass(frozen=True, slots=True)
class AlertRules:
    """One version of the rules: what to look for, and whom to tell."""

    version: str
    rules: tuple[AlertRule, ...]
    channels: Mapping[str, Channel]
    text: str = field(repr=False)

    def channels_of(self, rule_name: str) -> list[Channel]:
        """Who hears of a rule's alerts; nobody of a rule that there is no more."""
        for rule in self.rules:
            if rule.name == rule_name:
                names = self.channels if rule.channels is None else rule.channels
                return [self.channels[name] for name in names]
        return []


def read_alert_rules(version: str, text: str) -> AlertRules:
    """The rules that the text states, under this version. Raises `AlertRulesError`."""
    document = _document(text)
    for key in document:
        if key not in {"rule", "channel"}:
            raise AlertRulesError(f"{shown(key)} is no key of the file; there are rule and channel")
    channels = {each.name: each for each in _channels(document.get("channel", {}))}
    return AlertRules(version, tuple(_rules(document.get("rule", []), channels)), channels, text)


def _document(text: str) -> Mapping[str, Any]:
    if len(text.encode(errors="replace")) > MAX_BYTES or "\0" in text:
        raise AlertRulesError(f"the file is larger than {MAX_BYTES // 1024} KiB, or no text")
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise AlertRulesError(f"the file is no TOML: {error}") from None


def _channels(listed: object) -> Iterator[Channel]:
    tables = cast("dict[str, object]", listed) if isinstance(listed, dict) else None
    if tables is None or len(tables) > MOST:
        raise AlertRulesError(f"channel: up to {MOST} tables, each begins with [channel.NAME]")
    for name, item in tables.items():
        where = f"channel {shown(name)}"
        table = _table(item, where)
        if _NAME.fullmatch(name) is None:
            raise AlertRulesError(f"{where}: a name is up to 64 of a-z, 0-9, - and _")
        kind = str(table.pop("type", ""))
        if kind not in TYPES:
            raise AlertRulesError(f"{where}, type: it must be one of {', '.join(TYPES)}")
        yield _checked(read_fields(_CHANNELS[kind], table, where, name=name), where)


def _checked(channel: Channel, where: str) -> Channel:
    for key in ("url_env", "secret_env", "password_env"):
        variable = getattr(channel, key, None)
        if variable is not None and _VARIABLE.fullmatch(variable) is None:
            raise AlertRulesError(f"{where}, {key}: it must be the name of a variable")
    if isinstance(channel, EmailChannel) and not channel.to:
        raise AlertRulesError(f"{where}, to: it must name somebody")
    if isinstance(channel, WebhookChannel):
        if (channel.url is None) is (channel.url_env is None):
            raise AlertRulesError(f"{where}: it needs either url or url_env")
        if channel.url is not None and not is_web_address(channel.url):
            raise AlertRulesError(
                f"{where}, url: it must be http(s)://HOST/..., without a password"
            )
    return channel


def is_web_address(url: str) -> bool:
    """Whether a webhook can be sent there. What is before an @ would be a secret."""
    return _WEB_ADDRESS.fullmatch(url) is not None


def _rules(listed: object, channels: Mapping[str, Channel]) -> Iterator[AlertRule]:
    items = cast("list[object]", listed) if isinstance(listed, list) else None
    if items is None or len(items) > MOST:
        raise AlertRulesError(f"rule: a list of up to {MOST}, each begins with [[rule]]")
    names: set[str] = set()
    for place, item in enumerate(items, 1):
        rule = _rule(_table(item, f"rule {place}"), f"rule {place}")
        if rule.name in names:
            raise AlertRulesError(f"rule {place}, name: {rule.name!r} is that of an earlier rule")
        for name in rule.channels or ():
            if name not in channels:
                raise AlertRulesError(f"rule {rule.name!r}, channels: there is no channel {name!r}")
        names.add(rule.name)
        yield rule


def _rule(table: dict[str, object], where: str) -> AlertRule:
    name = table.get("name")
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        raise AlertRulesError(f"{where}, name: it must be up to 64 of a-z, 0-9, - and _")
    kind = KINDS.get(str(table.pop("kind", None)))
    if kind is None:
        raise AlertRulesError(f"rule {name!r}, kind: it must be one of {', '.join(KINDS)}")
    return read_fields(kind, table, f"rule {name!r}")


def _table(item: object, where: str) -> dict[str, object]:
    if not isinstance(item, dict):
        raise AlertRulesError(f"{where} is no table")
    return dict(cast("dict[str, object]", item))


DEFAULTS: Final = read_alert_rules("alerts-defaults-1", DEFAULTS_TEXT)
"""The rules in force where the operator has set none."""
