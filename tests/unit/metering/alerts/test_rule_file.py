"""The rules' file: what it may say, and by which words it is refused."""

from __future__ import annotations

from decimal import Decimal

import pytest

from spanmeter.metering.alerts.alert_rules import KINDS, Anomaly, PeerCost
from spanmeter.metering.alerts.channels import AppriseChannel, EmailChannel, WebhookChannel
from spanmeter.metering.alerts.fields import AlertRulesError
from spanmeter.metering.alerts.rule_file import (
    DEFAULTS,
    MAX_BYTES,
    is_web_address,
    read_alert_rules,
)

FILE = """
[channel.ops]
type = "webhook"
url = "https://ops.example.com/hooks/spanmeter"
secret_env = "OPS_SECRET"

[channel.mail]
type = "email"
host = "smtp.example.com"
sender = "spanmeter@example.com"
to = ["ops@example.com"]
resolved = false

[channel.slack]
type = "apprise"
url_env = "SLACK"

[[rule]]
name = "spikes"
kind = "anomaly"
factor = 2.5
minimum_cost = "0.10"
channels = ["ops", "slack"]

[[rule]]
name = "peers"
kind = "peer_cost"
per = "tenant"
channels = []

[[rule]]
name = "unpriced"
kind = "unpriced_share"
"""


def test_a_file_is_read() -> None:
    read = read_alert_rules("alerts-7", FILE)
    assert read.rules[:2] == (
        Anomaly(
            name="spikes",
            channels=("ops", "slack"),
            factor=Decimal("2.5"),
            minimum_cost=Decimal("0.10"),
        ),
        PeerCost(name="peers", channels=(), per="tenant"),
    )
    assert [type(each) for each in read.channels.values()] == [
        WebhookChannel,
        EmailChannel,
        AppriseChannel,
    ]
    assert [each.name for each in read.channels_of("spikes")] == ["ops", "slack"]
    assert read.channels_of("peers") == []
    assert [each.name for each in read.channels_of("unpriced")] == ["ops", "mail", "slack"]
    assert read.channels_of("gone") == []


@pytest.mark.parametrize(
    ("url", "usable"),
    [
        ("https://ops.example.com", True),
        ("http://[::1]:8080/hook?x=1&y=@", True),
        ("https://ops.example.com:443/a/b#c", True),
        ("https://me@ops.example.com/", False),
        ("https://me:secret@ops.example.com/", False),
        ("https://ops.example.com\\@evil.example.com/", False),
        ("https://", False),
        ("//ops.example.com/", False),
        ("gopher://ops.example.com/", False),
        ("https://ops.example.com/a b", False),
        ("https://ops.example.com/\r\nx: y", False),
    ],
)
def test_a_web_address_is_one_without_a_secret(url: str, usable: bool) -> None:  # noqa: FBT001
    assert is_web_address(url) is usable


def test_every_kind_is_in_the_defaults() -> None:
    assert {rule.kind for rule in DEFAULTS.rules} == set(KINDS)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[[rule]", "the file is no TOML"),
        ("x = " + "9" * 5000, "the file is no TOML"),
        ("[" * 3000, "the file is no TOML"),
        ("#" * (MAX_BYTES + 1), "larger than 64 KiB"),
        ("rules = 1", "'rules' is no key of the file"),
        ('rule = "all"', "each begins with"),
        ("[[rule]]\nname = 'A b'\nkind = 'anomaly'", "rule 1, name"),
        ("[[rule]]\nname = 'a'\nkind = 'spikes'", "rule 'a', kind: it must be one of budget"),
        ("[[rule]]\nname = 'a'\nkind = 'anomaly'\nfacto = 2", "rule 'a', facto: it is no key here"),
        ("[[rule]]\nname = 'a'\nkind = 'anomaly'\nfactor = -1", "rule 'a', factor: it must be"),
        ("[[rule]]\nname = 'a'\nkind = 'anomaly'\nfactor = nan", "rule 'a', factor: it must be"),
        ("[[rule]]\nname = 'a'\nkind = 'anomaly'\nfactor = 'x'", "'x' is no number"),
        ("[[rule]]\nname = 'a'\nkind = 'anomaly'\nfactor = true", "rule 'a', factor: it must be"),
        ("[[rule]]\nname = 'a'\nkind = 'anomaly'\nhistory_days = 1.5", "a whole number"),
        ("[[rule]]\nname = 'a'\nkind = 'peer_cost'\nper = 'day'", "one of call, tenant"),
        ("[[rule]]\nname = 'a'\nkind = 'anomaly'\nchannels = 'ops'", "a list of up to"),
        ("[[rule]]\nname = 'a'\nkind = 'anomaly'\nchannels = ['x']", "there is no channel 'x'"),
        ("[[rule]]\nname = 'a'\nkind = 'forecast'\n" * 2, "that of an earlier rule"),
        ("[channel.a]\nurl = 'https://a'", "channel 'a', type: it must be one of"),
        ("[channel.a]\ntype = 'webhook'\nurl = 'https://a'", "secret_env: it is missing"),
        ("[channel.a]\ntype = 'webhook'\nsecret_env = 'S'", "either url or url_env"),
        (
            "[channel.a]\ntype = 'webhook'\nsecret_env = 'S'\nurl = 'https://me:secret@a/'",
            "without a password",
        ),
        ("[channel.a]\ntype = 'webhook'\nsecret_env = 'S'\nurl = 'file:///etc'", "http(s)://"),
        ("[channel.a]\ntype = 'webhook'\nsecret_env = 'whsec_x+='\nurl = 'https://a'", "variable"),
        ("[channel.a]\ntype = 'apprise'\nurl = 'slack://x'", "url: it is no key here"),
        ("[channel.a]\ntype = 'email'\nhost = 'h'\nsender = 's'\nto = []", "name somebody"),
        ("[channel.a]\ntype = 'email'\nhost = 'h'\nsender = 's\\n'\nto = ['x']", "one line"),
    ],
)
def test_what_cannot_be_used_is_refused_by_table_and_key(text: str, told: str) -> None:
    with pytest.raises(AlertRulesError) as refused:
        read_alert_rules("new", text.replace("'s\\n'", '"s\\n"'))
    assert told in str(refused.value)
