"""Attributing usage after the fact: what would get which tenant, and what stays without one."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from uuid import UUID, uuid4

from spanmeter.console.listing import Column, Listing, money
from spanmeter.console.mapping_file import read_mapping
from spanmeter.metering.costing import EXACT
from spanmeter.metering.resolution import Key
from spanmeter.storage.adjustments import Adjustment, book
from spanmeter.storage.attributing import (
    TRACE,
    Ambiguous,
    Found,
    Open,
    Period,
    all_costs,
    attributed,
    by_dimension,
    by_mapping,
    by_trace,
    still_open,
)
from spanmeter.storage.connection import Connection


@dataclass(slots=True)
class Proposal:
    """Pairs of adjustments that attribute usage, under one run's id, and what two tenants claim."""

    run: UUID = field(default_factory=uuid4)
    adjustments: list[Adjustment] = field(default_factory=list[Adjustment])
    ambiguous: list[Ambiguous] = field(default_factory=list[Ambiguous])


def propose(
    connection: Connection,
    period: Period,
    *,
    mapping: Path | None,
    events: Sequence[Key],
    tenant: str | None,
    by: Sequence[str],
) -> Proposal:
    """What can be attributed; of several that know, the first of: named events, the mapping, `by` in its order."""
    proposal = Proposal()
    found: dict[Key, Found] = {}
    if tenant is not None:
        found |= dict.fromkeys(events, Found(tenant, "event", "named"))
    if mapping is not None:
        clear, proposal.ambiguous = by_mapping(connection, period, read_mapping(mapping))
        found = clear | found
    claimed = {each.key for each in proposal.ambiguous}
    for name in by:
        more = (
            by_trace(connection, period)
            if name == TRACE
            else by_dimension(connection, period, name)
        )
        found = {key: each for key, each in more.items() if key not in claimed} | found
    proposal.adjustments = list(attributed(connection, proposal.run, found))
    return proposal


def apply(connection: Connection, proposal: Proposal) -> int:
    """Book it; how many adjustments that took."""
    return book(connection, proposal.adjustments)


def proposed(proposal: Proposal, *, booked: bool) -> Listing:
    """What gets which tenant, by rule and place in the code."""
    sums: dict[tuple[str | None, str, str, str | None], tuple[int, Decimal]] = {}
    for each in proposal.adjustments:
        if each.tenant_id is not None:
            key = (each.tenant_id, each.reason, each.currency, each.callsite)
            requests, cost = sums.get(key, (0, Decimal()))
            sums[key] = requests + each.requests, EXACT.add(cost, each.cost or Decimal())
    ordered = sorted(sums.items(), key=lambda item: (-item[1][1], *map(str, item[0])))
    return Listing(
        columns=[
            Column("tenant_id", "tenant"),
            Column("reason", "because"),
            Column("callsite", "callsite"),
            Column("requests", "requests"),
            Column("cost", "cost"),
            Column("currency", "currency"),
        ],
        rows=[
            [tenant, reason, callsite, requests, cost, currency]
            for (tenant, reason, currency, callsite), (requests, cost) in ordered
        ],
        about={"reference": f"attribution:{proposal.run}"} if booked else {},
        notes=_notes(proposal, booked=booked),
    )


def _notes(proposal: Proposal, *, booked: bool) -> list[str]:
    if not proposal.adjustments:
        notes = ["Nothing more can be attributed."]
    elif booked:
        notes = [f"Booked. To take it back: spanmeter adjust undo attribution:{proposal.run}"]
    else:
        notes = ["Nothing is booked yet: --apply does it."]
    torn = Counter(" or ".join(each.tenants) for each in proposal.ambiguous)
    return notes + [
        f"Left without a tenant, since the mapping says two: {count:,} calls, {tenants}."
        for tenants, count in sorted(torn.items())
    ]


def unattributed(connection: Connection, period: Period) -> Listing:
    """What has no tenant by now, by the place in the code that caused it, with its share of all cost."""
    places = still_open(connection, period)
    costs = all_costs(connection, period)
    left = [each for each in places if each.requests or each.cost or each.unpriced_requests]
    return Listing(
        columns=[
            Column("callsite", "callsite", "(not known)"),
            Column("service_name", "service"),
            Column("requests", "requests"),
            Column("unpriced_requests", "unpriced"),
            Column("input_tokens", "input"),
            Column("output_tokens", "output"),
            Column("cost", "cost"),
            Column("currency", "currency"),
            Column("share", "share of cost"),
            Column("last_seen", "last seen"),
        ],
        rows=[
            [
                *(each.callsite, each.service_name, each.requests, each.unpriced_requests),
                *(each.input_tokens, each.output_tokens, each.cost, each.currency),
                *(_share(each.cost, costs.get(each.currency, Decimal())), each.last_seen),
            ]
            for each in left
        ],
        about={"since": period.since, "until": period.until},
        notes=_headline(places, left),
    )


def _headline(places: Sequence[Open], left: Sequence[Open]) -> list[str]:
    if not left:
        return ["All usage of this period has a tenant."]
    all_sites = {(each.service_name, each.callsite) for each in places}
    sites = {(each.service_name, each.callsite) for each in left}
    sums: dict[str, Decimal] = {}
    for each in left:
        sums[each.currency] = EXACT.add(sums.get(each.currency, Decimal()), each.cost)
    amounts = " and ".join(f"{money(cost)} {currency}" for currency, cost in sorted(sums.items()))
    return [
        f"{len(sites)} of {len(all_sites)} call sites that had no tenant have none yet: {amounts}."
    ]


def _share(cost: Decimal, whole: Decimal) -> str | None:
    return f"{cost / whole:.2%}" if whole else None
