"""What a detector found: about whom, in which window, why, and the numbers that say so."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

Subject = Mapping[str, str | None]
"""Whom or what an alert is about, by dimension: tenant_id, feature, service_name, provider, budget ..."""


class Window(NamedTuple):
    """The period in which a finding is reported once: from `since` up to but without `until`."""

    since: datetime
    until: datetime


class Contributor(NamedTuple):
    """Who or what adds to a finding, and what it was against what was expected of it."""

    name: str
    actual: Decimal
    expected: Decimal


class Finding(NamedTuple):
    """Something that a rule asks to be told. `figures` are decimal digits or ISO 8601 times, by name.

    What is `lasting` is not told anew while it goes on from one window into the next.
    """

    rule: str
    kind: str
    subject: Subject
    window: Window
    title: str
    message: str
    figures: Mapping[str, str]
    cause: str | None = None
    contributors: Sequence[Contributor] = ()
    lasting: bool = True

    @property
    def alert_id(self) -> UUID:
        """The same for whatever is found of this subject by this rule in this window: it is told once."""
        return identity(self.rule, self.kind, self.subject, self.window.since)


def day_of(moment: datetime) -> Window:
    """The day, UTC, that a moment is in."""
    begin = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    return Window(begin, begin + timedelta(days=1))


def identity(rule: str, kind: str, subject: Subject, since: datetime) -> UUID:
    """A digest of what an alert is one of."""
    of = [rule, kind, sorted(subject.items()), since.timestamp()]
    return UUID(bytes=hashlib.sha256(json.dumps(of, ensure_ascii=True).encode()).digest()[:16])
