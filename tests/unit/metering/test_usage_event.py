"""The row."""

import pickle
from datetime import UTC, datetime
from typing import get_type_hints

import pytest

from spanmeter.metering.meter import GROUPS
from spanmeter.metering.usage_event import UsageEvent
from unit.metering.spans import event_of


def test_the_groups_that_are_read_apart_are_the_events_fields_in_order() -> None:
    read = [(name, hint) for group in GROUPS for name, hint in get_type_hints(group).items()]
    assert read == list(get_type_hints(UsageEvent).items())


@pytest.mark.parametrize("field", ["dimensions", "cache_write_by_ttl", "quantities"])
def test_a_default_that_rows_share_cannot_be_changed(field: str) -> None:
    event = UsageEvent(datetime(2026, 1, 1, tzinfo=UTC), bytes(16), bytes(8))
    with pytest.raises(TypeError):
        getattr(event, field)["tenant"] = "another"


@pytest.mark.parametrize("field", ["dimensions", "cache_write_by_ttl", "quantities"])
def test_two_metered_rows_share_no_mapping(field: str) -> None:
    assert getattr(event_of(), field) is not getattr(event_of(), field)


def test_an_event_of_the_meter_can_be_sent_to_another_process() -> None:
    event = event_of({"usage.dimension.region": "emea"})
    assert pickle.loads(pickle.dumps(event)) == event  # noqa: S301
