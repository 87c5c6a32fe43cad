"""What is exported to where, as a TOML file says it: a table for each target, named as you like.

[billing]
kind = "stripe"
key_env = "STRIPE_API_KEY"
since = 2026-11-01
customers = { acme = "cus_1" }

[[billing.meters]]
name = "llm_tokens"
measure = "tokens"
"""

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Literal, cast

from spanmeter.console.bounded_file import content_of
from spanmeter.console.exports.kinds import KINDS
from spanmeter.console.exports.toml_table import (
    Table,
    dimension,
    length,
    listed,
    moment,
    names,
    number,
    one_of,
    text,
)
from spanmeter.console.failures import UnusableSetting
from spanmeter.storage.errors import UnknownDimension
from spanmeter.storage.exported_usage import MEASURES, UNIT, Measured, Period

MAX_BYTES: Final = 16 * 1024 * 1024
"""A hundred thousand customers are some 5 MiB."""

ANY: Final = "any"
"""Instead of a value of `where`: the dimension is not looked at."""

Late = Literal["list", "carry"]

_BILLABLE: Final = {"billable_state": "billable"}
_CURRENCY: Final = {"currency": "USD"}


@dataclass(frozen=True, slots=True)
class Meter:
    """What a target meters, and how it is measured: `scale` times the measure, of rows with these values."""

    name: str
    measured: Measured
    scale: Decimal


@dataclass(frozen=True, slots=True)
class Configured:
    """One target. `customers` names tenants as the target does; None: by their own ids.

    `options` are those of its kind only.
    """

    name: str
    kind: str
    since: datetime
    period: Period
    wait: timedelta
    every: timedelta | None
    late: Late
    customers: Mapping[str, str] | None
    meters: Sequence[Meter]
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    digest: bytes = b""

    def customer(self, tenant_id: str | None) -> str | None:
        """The target's name of a tenant; None: it has none."""
        if tenant_id is None or self.customers is None:
            return tenant_id
        return self.customers.get(tenant_id)

    def until(self, now: datetime) -> datetime:
        """The end of the last window that is over, and has been for as long as is waited."""
        settled = (now - self.wait).replace(minute=0, second=0, microsecond=0)
        return settled if self.period == "hour" else settled.replace(hour=0)


def read_configuration(path: Path) -> list[Configured]:
    """The targets of a file, in its order. Raises `UnusableSetting`."""
    try:
        document = tomllib.loads(content_of(path, MAX_BYTES).decode(), parse_float=Decimal)
        return [_target(name, table) for name, table in document.items()]
    except OSError as error:
        raise UnusableSetting(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, UnknownDimension) as error:
        raise UnusableSetting(f"{path}: {error}") from error


def _target(name: str, value: object) -> Configured:
    table = Table(value, f"[{name}]")
    kind = table.need("kind", one_of(*KINDS))
    defaults = KINDS[kind]
    meters = table.take("meters", listed, list[Any]())
    configured = Configured(
        name=name,
        kind=kind,
        since=table.need("since", moment),
        period=cast(Period, table.take("period", one_of(*defaults.periods), defaults.periods[0])),
        wait=table.take("wait", length, timedelta(minutes=15)),
        every=table.take("every", length, None),
        late=cast(Late, table.take("late", one_of("list", "carry"), "list")),
        customers=table.take("customers", _customers, None),
        meters=[_meter(each, f"[[{name}.meters]] {at}") for at, each in enumerate(meters, 1)],
        digest=_digest(value),
    )
    options = {key: table.take(key, read, None) for key, read in defaults.options.items()}
    table.refuse_others()
    _check(configured, needs_meters=not defaults.files)
    told = {key: option for key, option in options.items() if option is not None}
    if missing := sorted(defaults.required - told.keys()):
        raise ValueError(f"[{name}] lacks {', '.join(missing)}")
    return replace(configured, options=told)


def _check(configured: Configured, *, needs_meters: bool) -> None:
    names = [meter.name for meter in configured.meters]
    if len(set(names)) < len(names):
        raise ValueError(f"[{configured.name}] has two meters of one name")
    if needs_meters != bool(names):
        raise ValueError(
            f"[{configured.name}] {'lacks' if needs_meters else 'has no use for'} meters"
        )


def _meter(value: object, where: str) -> Meter:
    table = Table(value, where)
    name = table.need("name", text)
    measure = table.need("measure", _measure)
    given = table.take("where", _texts, dict[str, str]())
    defaults = {**_BILLABLE, **(_CURRENCY if measure == "cost" else {})}
    wanted = {**defaults, **{dimension(key): each for key, each in given.items()}}
    by = table.take("by", names, list[str]())
    scale = table.take("scale", number, Decimal(1))
    table.refuse_others()
    values = {key: each for key, each in wanted.items() if each != ANY}
    return Meter(name, Measured(measure, values, by), scale)


def _measure(value: object) -> str:
    name = text(value)
    if name not in MEASURES and name.removeprefix(UNIT) in (name, ""):
        raise ValueError(f"is {name!r}; there are {', '.join(MEASURES)}, {UNIT}NAME")
    return name


def _texts(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        raise ValueError("is no table of texts")
    return {key: text(each) for key, each in cast("dict[str, object]", value).items()}


def _customers(value: object) -> Mapping[str, str] | None:
    """A table; or `"tenant"`, where the target names tenants as the ledger does."""
    return None if value == "tenant" else _texts(value)


def _digest(value: object) -> bytes:
    return sha256(json.dumps(value, sort_keys=True, default=str).encode()).digest()
