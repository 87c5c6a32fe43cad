"""Where the tenant and the other dimensions of a span are found, and that the row says where."""

from collections.abc import Mapping

import pytest

from spanmeter.metering.attribution import DIMENSIONS, PLACES, RESOURCE, Attribution
from spanmeter.metering.meter import Meter
from spanmeter.metering.span import AttributeValue
from spanmeter.metering.usage_event import UsageEvent
from unit.metering.spans import METER, NOW, RATES, metered, span
from unit.metering.spans import RESOURCE as PROCESS

Attributes = Mapping[str, AttributeValue]


def found(
    attributes: Attributes, resource: Attributes | None = None
) -> tuple[str | None, str | None]:
    """The tenant of the chat with `attributes`, and what named it."""
    event = metered(span(attributes, resource={**PROCESS, **(resource or {})}))
    return event.tenant_id, event.attributed_by


def told_by(attribution: Attribution, attributes: Attributes) -> UsageEvent:
    event = Meter(RATES, attribution=attribution).meter(span(attributes), NOW)
    assert event is not None
    return event


def test_our_own_attribute_comes_first() -> None:
    others: Attributes = {"metadata": '{"tenant_id": "other"}', "metadata.tenant_id": "other"}
    assert found({"tenant.id": "acme", **others}, {"tenant.id": "other"}) == ("acme", "tenant.id")


@pytest.mark.parametrize(
    ("attributes", "place"),
    [
        ({"traceloop.association.properties.tenant_id": "acme"}, None),
        ({"ai.telemetry.metadata.tenantId": "acme"}, None),
        ({"langfuse.trace.metadata.tenant_id": '"acme"'}, "langfuse.trace.metadata.tenant_id"),
        ({"langfuse.trace.metadata.tenant_id": "acme"}, "langfuse.trace.metadata.tenant_id"),
        ({"metadata": '{"tenant_id": "acme"}'}, "metadata/tenant_id"),
        ({"metadata": {"tenant_id": "acme"}}, "metadata/tenant_id"),
        (
            {"metadata.requester_metadata": "{'tenant_id': 'acme', 'tries': None}"},
            "metadata.requester_metadata/tenant_id",
        ),
    ],
)
def test_each_library_has_a_place_of_its_own(attributes: Attributes, place: str | None) -> None:
    assert found(attributes) == ("acme", place or next(iter(attributes)))


def test_the_process_comes_last() -> None:
    process: Attributes = {"tenant.id": "acme"}
    assert found({}, process) == ("acme", "resource:tenant.id")
    assert found({"metadata": '{"tenant_id": "b"}'}, process) == ("b", "metadata/tenant_id")


def test_the_tenant_of_a_span_that_cannot_be_metered_is_told_all_the_same() -> None:
    told = {"metadata": '{"tenant_id": "acme"}'}
    assert METER.tenant_of(span(told)._replace(trace_id=b"")) == "acme"
    assert METER.tenant_of(span({"tenant.id": "\0"})) is None
    assert METER.tenant_of(span({"tenant.id": ["acme"]})) is None


def test_an_unattributed_row_names_nothing() -> None:
    assert found({}) == (None, None)
    assert found({"tenant.id": ""}) == (None, None)


@pytest.mark.parametrize(
    "metadata",
    ["", "no JSON", "[" * 10**4, '{"tenant_id": ["acme"]}', '"tenant_id"', 7, "9" * 10**5],
)
def test_what_else_is_kept_there_is_no_tenant_and_no_error(metadata: AttributeValue) -> None:
    assert found({"metadata": metadata}) == (None, None)


def test_an_operator_says_where_to_look_and_in_what_order() -> None:
    attribution = Attribution({"tenant": ["resource:team", "customer.id", "meta/customer/id"]})
    attributes: dict[str, AttributeValue] = {"meta": '{"customer": {"id": 42}}'}
    assert told_by(attribution, attributes).tenant_id == "42"
    event = told_by(attribution, {**attributes, "customer.id": "acme"})
    assert (event.tenant_id, event.attributed_by) == ("acme", "customer.id")
    event = told_by(attribution, {**attributes, "tenant.id": "ours"})
    assert (event.tenant_id, event.attributed_by) == ("ours", "tenant.id")


def test_an_operator_can_put_another_attribute_before_ours() -> None:
    attribution = Attribution({"tenant": ["customer.id", "tenant.id"]})
    event = told_by(attribution, {"customer.id": "acme", "tenant.id": "ours"})
    assert (event.tenant_id, event.attributed_by) == ("acme", "customer.id")


def test_the_defaults_of_a_dimension_are_replaced_and_those_of_others_stay() -> None:
    attribution = Attribution({"tenant": ["user.id"]})
    attributes = {"metadata": '{"tenant_id": "acme"}', "ai.telemetry.metadata.userId": "u1"}
    event = told_by(attribution, attributes)
    assert (event.tenant_id, event.user_id) == (None, "u1")


@pytest.mark.parametrize("dimension", sorted(DIMENSIONS))
def test_every_dimension_can_be_placed(dimension: str) -> None:
    attribution = Attribution({dimension: ["a/b"]})
    event = told_by(attribution, {"a": '{"b": "trial"}'})
    assert "trial" in event


def test_places_that_cannot_be_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="'tenants' is not one of tenant, workspace"):
        Attribution({"tenants": ["a"]})
    for empty in ("", RESOURCE, "/a"):
        with pytest.raises(ValueError, match="names no attribute"):
            Attribution({"tenant": [empty]})


def test_the_defaults_are_of_dimensions_that_there_are() -> None:
    assert PLACES.keys() <= DIMENSIONS.keys()


def test_another_dimensions_attribute_can_tell_the_tenant() -> None:
    event = told_by(Attribution({"tenant": ["user.id"]}), {"user.id": "acme"})
    assert (event.tenant_id, event.user_id, event.attributed_by) == ("acme", "acme", "user.id")
