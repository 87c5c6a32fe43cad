"""Plans as text, which is TOML: read, checked, and made ready to charge by. docs/plans.md shows all of it."""

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from itertools import pairwise
from typing import Any, Final, cast

from spanmeter.metering.plans import charge_units, plan_values
from spanmeter.metering.plans.grants import DEFAULT_PRIORITY, KINDS
from spanmeter.metering.plans.plan import NOTHING, Charge, Discount, Plan, PlanGrant, Tier
from spanmeter.metering.plans.plan_values import PlanError, table
from spanmeter.metering.plans.selection import selection

__all__ = ["MAX_BYTES", "PlanError", "read_plan"]

MAX_BYTES: Final = 256 * 1024
MAX_PARTS: Final = 200
"""Charges, grants or discounts of a plan."""
MAX_TIERS: Final = 50

_KEYS: Final = (
    *("plan", "currency", "time_zone", "anchor_day", "fee", "minimum"),
    *("charge", "grant", "discount"),
)
_CHARGE: Final = (
    *("name", "unit", "action", "markup", "price", "tiers", "mode", "included", "when"),
)
_GRANT: Final = ("name", "kind", "amount", "priority", "when", "rollover_min", "rollover_max")
_LAST_DAY: Final = 31


def read_plan(text: str) -> Plan:
    """The plan that the text states. Raises `PlanError`."""
    stated = table(_document(text), "the file", _KEYS)
    charges = tuple(_named(stated.get("charge", []), "charge", _charge))
    plan = Plan(
        name=plan_values.name(stated.get("plan"), "plan"),
        currency=plan_values.currency(stated.get("currency"), "currency"),
        time_zone=plan_values.zone(stated.get("time_zone", "UTC"), "time_zone"),
        anchor_day=_anchor(stated.get("anchor_day", 1)),
        fee=plan_values.amount(stated.get("fee", 0), "fee"),
        minimum=plan_values.amount(stated.get("minimum", 0), "minimum"),
        charges=charges,
        grants=tuple(_named(stated.get("grant", []), "grant", _grant)),
        discounts=tuple(_discounts(stated.get("discount", []), {each.name for each in charges})),
        text=text,
    )
    _check(plan)
    return plan


def _document(text: str) -> Mapping[str, Any]:
    if len(text.encode(errors="replace")) > MAX_BYTES:
        raise PlanError(f"the file is larger than {MAX_BYTES // 1024} KiB")
    if "\0" in text:
        raise PlanError("the file holds a NUL character, so it is no TOML")
    try:
        return tomllib.loads(text, parse_float=Decimal)
    except (ValueError, ArithmeticError) as error:
        raise PlanError(f"the file is no TOML: {error}") from None
    except RecursionError:
        raise PlanError("the file is no TOML that can be read: it is nested too deeply") from None


def _named(listed: object, kind: str, read: Any) -> Iterator[Any]:
    names: set[str] = set()
    for place, item in enumerate(_items(listed, kind, MAX_PARTS), 1):
        found = read(item, f"{kind} {place}")
        if found.name in names:
            raise PlanError(f"{kind} {place}, name: {found.name!r} is the name of an earlier one")
        names.add(found.name)
        yield found


def _items(listed: object, kind: str, most: int) -> list[object]:
    items = cast("list[object]", listed) if isinstance(listed, list) else None
    if items is None or len(items) > most:
        raise PlanError(f"{kind} is not a list of up to {most}: each begins with [[{kind}]]")
    return items


def _charge(item: object, where: str) -> Charge:
    stated = table(item, where, _CHARGE)
    name = plan_values.name(stated.get("name"), f"{where}, name")
    where = f"charge {name!r}"
    kinds = [key for key in ("unit", "action", "markup") if key in stated]
    if len(kinds) != 1:
        raise PlanError(f"{where}: it needs one of unit, action and markup")
    common: dict[str, Any] = {"name": name, "when": selection(stated.get("when"), where)}
    if kinds == ["markup"]:
        return _markup(stated, where, common)
    unit = charge_units.ACTIONS
    if kinds == ["unit"]:
        unit = plan_values.unit(stated["unit"], f"{where}, unit")
        if unit in {charge_units.COST, charge_units.ACTIONS}:
            raise PlanError(f"{where}, unit: {unit!r} is charged for with markup or action")
    else:
        common["action"] = _action(stated["action"], where)
    return Charge(
        unit=unit,
        **_price(stated, unit, where),
        included=plan_values.count(stated.get("included", 0), f"{where}, included"),
        **common,
    )


def _action(value: object, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise PlanError(f"{where}, action: it must name an action")
    return value


def _markup(stated: Mapping[str, object], where: str, common: Mapping[str, Any]) -> Charge:
    if others := [key for key in ("price", "tiers", "mode", "included") if key in stated]:
        raise PlanError(f"{where}, {others[0]}: a markup has none; grant money instead")
    markup = plan_values.percentage(stated["markup"], f"{where}, markup")
    if markup < -1:
        raise PlanError(f"{where}, markup: more than all of the cost cannot be taken off")
    return Charge(unit=charge_units.COST, factor=1 + markup, **common)


def _price(stated: Mapping[str, object], unit: str, where: str) -> dict[str, Any]:
    if ("price" in stated) == ("tiers" in stated):
        raise PlanError(f"{where}: it needs either price or tiers")
    mode = stated.get("mode", "graduated")
    if mode not in {"graduated", "volume"} or ("mode" in stated and "tiers" not in stated):
        raise PlanError(f"{where}, mode: of tiers it is graduated or volume")
    if "price" in stated:
        price = plan_values.price(stated["price"], unit, f"{where}, price")
        if price.tiers and not charge_units.columns_of(unit)[0].endswith("_tokens"):
            raise PlanError(f"{where}, price: only tokens have prices by the input of a call")
        return {"price": price}
    tiers = tuple(_tiers(_items(stated["tiers"], "tiers", MAX_TIERS), unit, where))
    ends = [each.up_to for each in tiers]
    limits = [end for end in ends if end is not None]
    if not tiers or ends[-1] is not None or len(limits) != len(ends) - 1:
        raise PlanError(f"{where}, tiers: all but the last have up_to, and the last has none")
    if any(one >= other for one, other in pairwise(limits)) or 0 in limits:
        raise PlanError(f"{where}, tiers: each must end above the one before")
    return {"tiers": tiers, "volume": mode == "volume"}


def _tiers(items: Iterable[object], unit: str, where: str) -> Iterator[Tier]:
    for place, item in enumerate(items, 1):
        here = f"{where}, tier {place}"
        stated = table(item, here, ("up_to", "price"))
        up_to = plan_values.count(stated["up_to"], f"{here}, up_to") if "up_to" in stated else None
        price = plan_values.price(stated.get("price"), unit, f"{here}, price")
        if price.tiers:
            raise PlanError(f"{here}, price: within tiers it cannot depend on the input of a call")
        yield Tier(up_to, price)


def _grant(item: object, where: str) -> PlanGrant:
    stated = table(item, where, _GRANT)
    name = plan_values.name(stated.get("name"), f"{where}, name")
    where = f"grant {name!r}"
    kind = stated.get("kind", "allowance")
    if not isinstance(kind, str) or kind not in KINDS:
        raise PlanError(f"{where}, kind: it must be one of {', '.join(KINDS)}")
    priority = stated.get("priority", DEFAULT_PRIORITY)
    if isinstance(priority, bool) or not isinstance(priority, int) or not 0 <= priority <= 1000:
        raise PlanError(f"{where}, priority: it must be a whole number from 0 to 1000")
    amount, unit = plan_values.granted(stated.get("amount"), f"{where}, amount")
    return PlanGrant(
        name=name,
        kind=kind,
        unit=unit,
        amount=amount,
        priority=priority,
        when=selection(stated.get("when"), where),
        rollover_min=plan_values.count(stated.get("rollover_min", 0), f"{where}, rollover_min"),
        rollover_max=plan_values.count(stated.get("rollover_max", 0), f"{where}, rollover_max"),
    )


def _discounts(listed: object, charges: set[str]) -> Iterator[Discount]:
    for place, item in enumerate(_items(listed, "discount", MAX_PARTS), 1):
        where = f"discount {place}"
        stated = table(item, where, ("name", "percent", "charges"))
        off = plan_values.percentage(stated.get("percent"), f"{where}, percent")
        if not 0 < off <= 1:
            raise PlanError(f"{where}, percent: it must be above 0 and at most 100")
        named = _items(stated.get("charges", []), "charges", MAX_PARTS)
        if unknown := [each for each in named if each not in charges]:
            raise PlanError(f"{where}, charges: the plan has no charge {unknown[0]!r}")
        name = plan_values.name(stated.get("name"), f"{where}, name")
        yield Discount(name, off, frozenset(map(str, named)))


def _anchor(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _LAST_DAY:
        raise PlanError("anchor_day: it must be a day of the month, 1 to 31")
    return value


def _check(plan: Plan) -> None:
    if charge_units.overlapping(plan.units):
        raise PlanError(
            "charges: cached input and audio or image input cannot both have a price: they may be the same tokens"
        )
    for grant in plan.grants:
        money = plan_values.CURRENCY.fullmatch(grant.unit) is not None
        if money and grant.unit != plan.currency:
            raise PlanError(f"grant {grant.name!r}, amount: the plan is in {plan.currency}")
        if grant.rollover_min > grant.rollover_max:
            raise PlanError(f"grant {grant.name!r}, rollover_min: it is more than rollover_max")
    if sum((each.factor for each in plan.discounts), NOTHING) > 1:
        raise PlanError("discounts: together they are more than 100 percent")
