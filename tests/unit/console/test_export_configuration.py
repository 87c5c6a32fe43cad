"""What the file of exports may say, and how it is told that something in it is wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from spanmeter.console.exports.configuration import read_configuration
from spanmeter.console.exports.schedule import scheduled
from spanmeter.console.failures import UnusableSetting

WHOLE = """
[billing]
kind = "stripe"
key_env = "STRIPE_API_KEY"
since = 2026-11-01
every = "1h"
customers = { acme = "cus_1" }

[[billing.meters]]
name = "money"
measure = "cost"
scale = 0.1
where = { tenant = "acme", billable_state = "any" }
by = ["model", "dimension:team"]

[[billing.meters]]
name = "images"
measure = "unit:images"

[files]
kind = "csv"
directory = "/tmp/files"
since = 2026-11-01T10:00:00+01:00
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "exports.toml"
    path.write_text(WHOLE)
    return path


def test_a_file_is_read_with_its_defaults(file: Path) -> None:
    billing, files = read_configuration(file)

    assert (billing.period, billing.wait, billing.late) == ("hour", timedelta(minutes=15), "list")
    assert billing.since == datetime(2026, 11, 1, tzinfo=UTC)
    assert (billing.customer("acme"), billing.customer("other")) == ("cus_1", None)
    money, images = billing.meters
    assert money.measured.where == {"tenant_id": "acme", "currency": "USD"}
    assert list(money.measured.by) == ["model", "dimension:team"]
    assert money.scale == Decimal("0.1")
    assert images.measured.where == {"billable_state": "billable"}
    assert (files.period, files.since) == ("day", datetime(2026, 11, 1, 9, tzinfo=UTC))
    assert files.customer("anybody") == "anybody"


def test_a_window_is_over_once_it_was_waited_for(file: Path) -> None:
    billing, files = read_configuration(file)
    early = datetime(2026, 11, 20, 12, 14, tzinfo=UTC)
    late = datetime(2026, 11, 20, 12, 15, tzinfo=UTC)

    assert billing.until(early) == datetime(2026, 11, 20, 11, tzinfo=UTC)
    assert billing.until(late) == datetime(2026, 11, 20, 12, tzinfo=UTC)
    assert files.until(late) == datetime(2026, 11, 20, tzinfo=UTC)


def test_a_change_of_a_target_is_seen_and_one_of_another_is_not(file: Path) -> None:
    before = {each.name: each.digest for each in read_configuration(file)}
    file.write_text(WHOLE.replace('"cus_1"', '"cus_2"'))
    after = {each.name: each.digest for each in read_configuration(file)}

    assert before["billing"] != after["billing"]
    assert before["files"] == after["files"]


def test_only_what_says_how_often_is_scheduled(file: Path) -> None:
    targets = read_configuration(file)

    assert [(each.name, every) for each, every in scheduled(targets)] == [
        ("billing", timedelta(hours=1))
    ]
    assert [every for _, every in scheduled(targets, timedelta(days=1))] == [timedelta(days=1)] * 2
    assert [every for _, every in scheduled(targets, timedelta(0))] == [timedelta(minutes=1)] * 2


WRONG = {
    'kind = "stripe"': ('kind = "strip"', "there are stripe, chargebee"),
    'key_env = "STRIPE_API_KEY"': ('key = "sk_live"', "has no use for key"),
    "since = 2026-11-01\n": ('since = "lately"\n', "since is no day"),
    'every = "1h"': ('every = "often"', "every is wrong"),
    'measure = "cost"': ('measure = "money"', "measure is 'money'"),
    "scale = 0.1": ("scale = -1", "no number above 0"),
    'name = "images"': ('name = "money"', "two meters of one name"),
    '"model", "dimension:team"': ('"colour"', "there is no dimension 'colour'"),
    'directory = "/tmp/files"': ("", "lacks directory"),
    "[files]": ("[files]\nfoo = 1", "has no use for foo"),
    'measure = "unit:images"': ('measure = "unit:"', "measure is 'unit:'"),
    'customers = { acme = "cus_1" }': ("customers = { acme = 1 }", "customers is no text"),
    "[billing]": ("[billing", "Expected"),
}


@pytest.mark.parametrize("right", WRONG)
def test_what_is_wrong_is_said(file: Path, right: str) -> None:
    wrong, said = WRONG[right]
    assert right in WHOLE
    file.write_text(WHOLE.replace(right, wrong, 1))

    with pytest.raises(UnusableSetting) as caught:
        read_configuration(file)

    message = str(caught.value.message)
    assert message.startswith(f"{file}: ")
    assert said in message


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(UnusableSetting, match="cannot be read: No such file"):
        read_configuration(tmp_path / "exports.toml")
