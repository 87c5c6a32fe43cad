"""What is set aside of a context is that context's own, though the same baggage comes again and again."""

from __future__ import annotations

import enum

import pytest
from opentelemetry import baggage
from opentelemetry.context import Context

from spanmeter.instrumentation.identity import identity_in, set_aside
from spanmeter.metering import attributes as names


class Tenant(str, enum.Enum):  # noqa: UP042 (older applications have these)
    ACME = "acme"


class Renamed:
    """Equal to itself, and called otherwise each time."""

    def __init__(self) -> None:
        self.asked = 0

    def __str__(self) -> str:
        self.asked += 1
        return f"tenant {self.asked}"


def told(value: object) -> str:
    """Whose call it is where somebody has put this into the baggage."""
    context = baggage.set_baggage(names.TENANT_ID, value, context=Context())
    identity, private = set_aside(context)
    assert identity_in(Context({**context, **private})) == identity
    return identity[names.TENANT_ID]


@pytest.mark.parametrize("_", ["asked once", "asked again"])
def test_equal_values_of_different_types_are_told_apart(_: str) -> None:
    values = [1, True, 1.0, "1", "acme", Tenant.ACME, ["acme"]]
    assert [told(value) for value in values] == [str(value) for value in values]


def test_what_may_change_is_not_remembered() -> None:
    tenant = Renamed()
    assert [told(tenant), told(tenant)] == ["tenant 1", "tenant 2"]


def test_foreign_baggage_stays_where_it_is() -> None:
    context = baggage.set_baggage("session", "s-1", context=Context())
    context = baggage.set_baggage(names.TENANT_ID, "acme", context=context)
    identity, private = set_aside(context)
    assert identity == {names.TENANT_ID: "acme"}
    assert baggage.get_all(Context({**context, **private})) == {"session": "s-1"}
