"""What a usage context can carry: the same value after any number of services, or none and a warning."""

from __future__ import annotations

import logging
from typing import Any, cast

import pytest
from opentelemetry import baggage, propagate
from opentelemetry.context import attach, detach

from spanmeter.instrumentation import UsageContext, current_usage, refine, usage
from spanmeter.metering import attributes as names


def tenant() -> str | None:
    """The tenant in force."""
    context = current_usage()
    return None if context is None else context.tenant_id


@pytest.mark.parametrize(
    "value",
    ["acme", "a b", "a,b;c=d", "Zürich → 東京", "100%", "a+b", '"quoted"', "x" * 256, "東" * 256],
)
def test_a_context_travels_as_baggage(value: str) -> None:
    carrier: dict[str, str] = {}
    sent = UsageContext(
        tenant_id=value, label=value, byok=False, dimensions={"région, 1": value, "d": "1"}
    )
    with usage(sent):
        propagate.inject(carrier)
    assert carrier["baggage"].isascii()
    token = attach(propagate.extract(carrier))
    try:
        assert current_usage() == sent
    finally:
        detach(token)


def test_surrounding_white_space_is_the_same_here_and_there() -> None:
    """Propagators strip what they receive: unstripped it would be another tenant there."""
    with usage(tenant_id=" acme\n"):
        assert tenant() == "acme"


@pytest.mark.parametrize(
    "bad", ["", "  ", "x" * 257, "a\0b", "a\ud800b", 7, b"acme", ["acme"], None]
)
def test_a_tenant_that_cannot_be_carried_is_logged_and_unattributed(
    bad: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with usage(tenant_id="acme"), usage(tenant_id=bad, feature="search"):
        assert tenant() is None
        # Nor does anything of it keep the application's own requests from being sent.
        propagate.inject(dict[str, str]())
    assert "tenant.id" in caplog.text
    assert "x" * 257 not in caplog.text


@pytest.mark.parametrize(
    "dimensions",
    [{"": "1"}, {"n" * 257: "1"}, {"bad": 7}, {7: "1"}, {"\ud800": "1"}, {"empty": ""}, [1], 7],
)
def test_dimensions_that_cannot_be_carried_are_left_out(
    dimensions: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with usage(tenant_id="acme", dimensions=dimensions):
        context = current_usage()
        assert context is None or context == UsageContext(tenant_id="acme")
        propagate.inject(dict[str, str]())
    assert caplog.records


def test_what_is_no_usage_at_all_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    for scope in (cast(Any, usage)(tenant="acme"), cast(Any, usage)("acme")):
        with scope:
            assert tenant() is None
    with usage(tenant_id="acme"), cast(Any, refine)(dimensions=7):
        assert tenant() == "acme"
    assert {record.levelno for record in caplog.records} == {logging.ERROR}


def test_a_foreign_service_may_send_what_it_likes() -> None:
    """What comes in as baggage is text of any kind, and may lack the tenant."""
    token = attach(baggage.set_baggage(names.USAGE_FEATURE, 7))
    try:
        assert current_usage() is None
        with usage(tenant_id="acme"):
            assert current_usage() == UsageContext(tenant_id="acme")
    finally:
        detach(token)
