"""What a target was told beside what the ledger has: all that is due is told, on its way, or named with why not."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal, localcontext
from typing import Final, NamedTuple

from spanmeter.console.exports.configuration import Configured, Meter
from spanmeter.console.exports.filing import latest_files
from spanmeter.console.exports.kinds import KINDS
from spanmeter.console.listing import Column, Listing, Value
from spanmeter.metering.costing import EXACT
from spanmeter.storage import exports
from spanmeter.storage.connection import Connection
from spanmeter.storage.exported_usage import Measured, Sum, sums
from spanmeter.storage.exports import OPEN, Planned, Standing

COLUMNS: Final = (
    Column("target", "target"),
    Column("meter", "meter"),
    Column("ledger", "ledger"),
    Column("told", "told"),
    Column("open", "open"),
    Column("refused", "refused"),
    Column("not_exportable", "not exportable"),
    Column("no_customer", "no customer"),
    Column("unattributed", "unattributed"),
    Column("not_planned", "not planned"),
    Column("value", "value"),
    Column("remainder", "remainder"),
)


class Comparison(NamedTuple):
    """A meter's sum over the ledger, and where it is. `value` is what the target has confirmed, in its units, and
    `remainder` what waits to make a whole one."""

    ledger: Decimal
    told: Decimal
    open: Decimal
    refused: Decimal
    not_exportable: Decimal
    no_customer: Decimal
    unattributed: Decimal
    value: Decimal
    remainder: Decimal

    @property
    def not_planned(self) -> Decimal:
        """What was booked since it was planned; or would be a defect."""
        return self.ledger - sum(self[1:7], Decimal())


def status(connection: Connection, targets: Iterable[Configured]) -> Listing:
    """All meters of these targets, as of what is planned."""
    # Python rounds sums to 28 digits unless it is told not to.
    with localcontext(EXACT):
        return _status(connection, targets)


def _status(connection: Connection, targets: Iterable[Configured]) -> Listing:
    rows: list[Sequence[Value]] = []
    notes: list[str] = []
    for configured in targets:
        kept = exports.planned(connection, configured.name)
        if kept is None:
            notes.append(f"{configured.name}: nothing was exported yet.")
            continue
        files = KINDS[configured.kind].files
        found = (compare_files if files else compare)(connection, configured, kept)
        rows += [_row(configured, name, each) for name, each in found]
        notes.append(_said(configured, kept, [each for _, each in found]))
    return Listing(COLUMNS, rows, notes=notes)


Compared = list[tuple[str, Comparison]]


def compare(connection: Connection, configured: Configured, kept: Planned) -> Compared:
    """Each meter's comparison, of one moment if the connection's transaction is of one."""
    by_meter: dict[str, list[Standing]] = defaultdict(list)
    for each in exports.standing(connection, configured.name):
        by_meter[each.meter].append(each)
    until = kept.planned_until
    return [
        (meter.name, _compared(connection, configured, meter, until, by_meter[meter.name]))
        for meter in configured.meters
    ]


def compare_files(connection: Connection, configured: Configured, kept: Planned) -> Compared:
    """Requests, and cost by currency, in all files together."""
    files = exports.in_states(connection, configured.name, ("confirmed",))
    told: dict[str, Decimal] = defaultdict(Decimal)
    left_out: dict[str, Decimal] = defaultdict(Decimal)
    for intent in latest_files(files).values():
        for summed, key in ((told, "totals"), (left_out, "left_out")):
            for name, amount in intent.payload[key].items():
                summed[name] += Decimal(amount)
    ledger = _of_ledger(connection, configured, kept.planned_until)
    zero = Decimal()
    return [
        (
            name,
            Comparison(
                ledger.get(name, zero),
                told[name],
                *(zero, zero),
                left_out[name],
                *(zero, zero),
                told[name],
                zero,
            ),
        )
        for name in sorted({*told, *left_out, *ledger})
    ]


def _of_ledger(
    connection: Connection, configured: Configured, until: datetime
) -> Mapping[str, Decimal]:
    """The same sums, of rows that such files are of: worked out from the ledger by another way."""
    where = {"byok": "false"} if configured.kind == "focus" else {}
    found: dict[str, Decimal] = defaultdict(Decimal)
    for measure, by in (("requests", ()), ("cost", ("currency",))):
        for each in sums(
            connection, Measured(measure, where, by), "whole", configured.since, until
        ):
            name = " ".join([measure, *map(str, each.dimensions.values())])
            found[name] += each.quantity
    return found


def _compared(
    connection: Connection,
    configured: Configured,
    meter: Meter,
    until: datetime,
    standing: Sequence[Standing],
) -> Comparison:
    found = sums(connection, meter.measured, "whole", configured.since, until)
    nobody = [each for each in found if each.tenant_id is None]
    # A tenant that had a customer once was told of; what it is lacking since is in the difference of both.
    told = {each.tenant_id for each in standing}
    unknown = [
        each
        for each in found
        if each.tenant_id is not None
        and each.tenant_id not in told
        and configured.customer(each.tenant_id) is None
    ]
    return Comparison(
        ledger=_total(found),
        told=_sum(standing, "confirmed", "carried"),
        open=_sum(standing, *OPEN),
        refused=_sum((each for each in standing if each.kind == "usage"), "failed"),
        not_exportable=_sum(standing, "not_exportable"),
        no_customer=_total(unknown),
        unattributed=_total(nobody),
        value=sum((each.value for each in standing if each.state == "confirmed"), Decimal()),
        remainder=sum(
            (each.remainder for each in standing if each.state in exports.TOLD), Decimal()
        ),
    )


def _sum(standing: Iterable[Standing], *states: str) -> Decimal:
    return sum((each.quantity for each in standing if each.state in states), Decimal())


def _total(found: Iterable[Sum]) -> Decimal:
    return sum((each.quantity for each in found), Decimal())


def _row(configured: Configured, name: str, each: Comparison) -> Sequence[Value]:
    *places, value, remainder = each
    return [configured.name, name, *places, each.not_planned, value, remainder]


def _said(configured: Configured, kept: Planned, found: Sequence[Comparison]) -> str:
    upto = f"{configured.name}, up to {kept.planned_until:%Y-%m-%d %H:%M}"
    if all(each.ledger == each.told + each.no_customer + each.unattributed for each in found):
        return f"{upto}: all that customers used is told, to the last digit."
    behind = [
        name
        for name in ("open", "refused", "not_exportable", "not_planned")
        if any(getattr(each, name) for each in found)
    ]
    return f"{upto}: not all is told; there is usage {', '.join(behind).replace('_', ' ')}."
