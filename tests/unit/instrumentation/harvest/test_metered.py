"""Of spans of others, what metering reads is passed on, and no text that it does not know to be none of content."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanmeter.instrumentation.harvest.metered import ALSO, further, metered
from spanmeter.metering import attributes as names

PROMPT = "Dear doctor, my knee hurts"


@pytest.fixture(autouse=True)
def forgotten() -> Generator[None]:
    """What was read of the environment is read anew."""
    yield
    further.cache_clear()


@given(st.text(min_size=1), st.text())
def test_a_text_under_a_name_that_nobody_knows_stays_where_it_is(name: str, text: str) -> None:
    passed = metered({"new." + name: f"{text} {PROMPT}"})
    assert passed == {}


@pytest.mark.parametrize(
    "name",
    [
        *("gen_ai.input.messages", "gen_ai.prompt.0.content", "ai.prompt", "input.value"),
        *("llm.prompts", "llm.request.user_message", "gen_ai.usage.note", "db.query.text"),
        *("http.url", "gen_ai.agent.description", "message", "gen_ai.conversation.id"),
        *("traceloop.association.properties.question", "metadata.question", "exception.message"),
    ],
)
def test_content_stays_where_it_is(name: str) -> None:
    assert metered({name: PROMPT}) == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("gen_ai.request.model", "my model of the day"),
        ("tenant.id", "Acme Incorporated"),
        ("usage.dimension.region", "the far north"),
        ("customer.id", "acme"),
        ("accountId", "acme"),
        ("traceloop.association.properties.org", "acme"),
        ("gen_ai.usage.input_tokens", "1000"),
        ("whatever.new", 17),
        ("gen_ai.is_streaming", True),
        ("gen_ai.response.finish_reasons", ("stop",)),
        ("gen_ai.usage.raw", '{"prompt_tokens": 10, "service_tier": "default"}'),
    ],
)
def test_what_metering_reads_is_passed_on(name: str, value: Any) -> None:
    assert metered({name: value}) == {name: value}


@pytest.mark.parametrize("written", [json.dumps, str], ids=["JSON", "printed"])
def test_of_metadata_the_words_are_passed_on(written: Any) -> None:
    said: Mapping[str, Any] = {
        "tenant_id": "acme",
        "question": PROMPT,
        "history": [PROMPT],
        "customer": {"id": "c-1", "note": PROMPT},
        "usage": {"tokens": 10},
    }
    passed = metered({"metadata": written(said), "metadata.requester_metadata": PROMPT})
    words = {"tenant_id": "acme", "customer": {"id": "c-1"}, "usage": {"tokens": 10}}
    assert {name: json.loads(str(value)) for name, value in passed.items()} == {"metadata": words}
    assert metered({"metadata": "[" * 10_000}) == {}


def test_a_usage_block_that_tells_a_story_stays_where_it_is() -> None:
    assert metered({names.USAGE_RAW: json.dumps({"note": PROMPT * 4})}) == {}
    assert metered({names.USAGE_RAW: "1" * 20_000}) == {}


def test_the_operator_names_more(monkeypatch: pytest.MonkeyPatch) -> None:
    further.cache_clear()
    monkeypatch.setenv(ALSO, "team, customer.name")
    said = {"team": "The A team", "customer.name": "Acme Inc.", "customer.street": "High Street 1"}
    assert metered(said) == {"team": "The A team", "customer.name": "Acme Inc."}
