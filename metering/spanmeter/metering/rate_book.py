"""All rates that were ever approved, and those that were in force at any moment: of valid time and of record."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from spanmeter.metering.card_rate import CardRate
from spanmeter.metering.rates import Rates

Fallbacks = Mapping[str, Sequence[str]]

NOBODY: Final = "none"
"""The version of rates of which there are none."""


class DatedFallbacks(NamedTuple):
    """Which providers' rates stand in for others', from a moment on."""

    since: datetime
    fallbacks: Fallbacks


class RateBook:
    """The rates in the order of their approval; they carry when that was. Nothing in it ever changes."""

    def __init__(
        self, approved: Sequence[CardRate], fallbacks: Sequence[DatedFallbacks] = ()
    ) -> None:
        self.approved = tuple(approved)
        self._fallbacks = tuple(fallbacks)
        self._archive = {rate.rate_version: rate for rate in self.approved}

    def __len__(self) -> int:
        return len(self.approved)

    def in_force(self, as_of: datetime | None = None) -> list[CardRate]:
        """Of each name the rate that was approved last, then or by now; not those that are withdrawn."""
        latest: dict[tuple[str, str], CardRate] = {}
        for rate in self.approved:
            if as_of is None or (rate.approved_at is not None and rate.approved_at <= as_of):
                latest[rate.card, rate.name] = rate
        return [rate for rate in latest.values() if not rate.withdrawn]

    def rates(self, as_of: datetime | None = None, changes: Sequence[CardRate] = ()) -> Rates:
        """The rates that were in force then, or are now; with `changes`, as if these were approved as well."""
        live = {(rate.card, rate.name): rate for rate in self.in_force(as_of)}
        for rate in changes:
            live[rate.card, rate.name] = rate
        chosen = [rate for rate in live.values() if not rate.withdrawn]
        return Rates(
            chosen,
            version=self._version(as_of),
            fallbacks=self._fallbacks_of(as_of),
            archive=self._archive,
        )

    def _version(self, as_of: datetime | None) -> str:
        last = max(
            (
                rate.approval
                for rate in self.approved
                if as_of is None or (rate.approved_at is not None and rate.approved_at <= as_of)
            ),
            default=0,
        )
        return f"rates-{last}" if last else NOBODY

    def _fallbacks_of(self, as_of: datetime | None) -> Fallbacks:
        held: Fallbacks = {}
        for since, fallbacks in self._fallbacks:
            if as_of is None or since <= as_of:
                held = fallbacks
        return held
