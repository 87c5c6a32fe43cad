"""What senders chose is shown, and does no harm."""

from __future__ import annotations

from decimal import Decimal

from spanmeter.metering.alerts.finding import Contributor
from spanmeter.metering.alerts.wording import about, largest, money, name, sentence, times


def test_names_that_senders_chose_stay_in_their_line() -> None:
    assert name("acme\r\nBcc: everybody\x1b[2J") == "acme\ufffd\ufffdBcc: everybody\ufffd[2J"
    assert name("x" * 500) == "x" * 119 + "\N{HORIZONTAL ELLIPSIS}"
    assert name(None) == "unattributed"


def test_subjects_read_as_words() -> None:
    subject = {"currency": "USD", "tenant_id": "McDuff", "feature": None}
    assert about(subject) == "tenant McDuff, feature unknown"
    assert sentence(about(subject)) == "Tenant McDuff, feature unknown"
    assert about({"currency": "USD"}) == "everybody"


def test_amounts_are_short_and_never_nothing() -> None:
    assert money(Decimal("1234.5"), "USD") == "1,234.50 USD"
    assert money(Decimal("0.000012"), "USD") == "0.000012 USD"
    assert times(Decimal("2.44")) == "2.4\N{MULTIPLICATION SIGN}"
    assert times(Decimal(10**6)) == "many times"
    assert largest([], "USD") == ""
    told = largest([Contributor("acme", Decimal(9), Decimal("0.5"))], "USD")
    assert told == " Most of it: acme 9.00 USD instead of 0.500000 USD."
