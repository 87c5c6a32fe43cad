"""The provider's usage block is kept as evidence, where it is no more than that."""

import json

import pytest

from spanmeter.metering.span import AttributeValue
from unit.metering.spans import event_of

BLOCK = (
    '{"prompt_tokens": 12, "ratio": 0.5, "cached": null, "service_tier": "default",'
    ' "details": [{"modality": "TEXT", "n": 1e2}]}'
)


@pytest.mark.parametrize("block", [BLOCK, "{}", '{"n":123456789012345678901234567890}'])
def test_the_block_is_kept_as_it_was_sent(block: str) -> None:
    assert event_of({"usage.raw": block}).raw_usage == block


@pytest.mark.parametrize(
    "block",
    [
        pytest.param("", id="empty"),
        pytest.param("{", id="broken"),
        pytest.param("{} {}", id="two"),
        pytest.param("[1]", id="no object"),
        pytest.param('{"n": NaN}', id="NaN"),
        pytest.param('{"n": -Infinity}', id="infinite"),
        pytest.param('{"n": 1e999999}', id="beyond numeric"),
        pytest.param('{"n": ' + "9" * 5000 + "}", id="more digits than Python reads"),
        pytest.param('{"a": "\\u0000"}', id="escaped NUL"),
        pytest.param('{"a": "\0"}', id="NUL"),
        pytest.param('{"a": "\\ud800"}', id="escaped half of a pair"),
        pytest.param('{"a": "\ud800"}', id="half of a pair"),
        pytest.param('{"a": ' * 2000 + "1" + "}" * 2000, id="deep"),
        pytest.param('{"a": [' + "0," * 20_000 + "0]}", id="large"),
        pytest.param({"prompt_tokens": 1}, id="no text"),
        pytest.param(b"{}", id="bytes"),
    ],
)
def test_what_a_database_does_not_take_is_left_out_and_the_call_is_booked(
    block: AttributeValue,
) -> None:
    event = event_of({"usage.raw": block})
    assert event.raw_usage is None
    assert event.input_tokens == 1000


@pytest.mark.parametrize("where", ["value", "key"])
def test_no_prompt_comes_into_the_ledger_by_it(where: str) -> None:
    prompt = "Dear assistant, here are the medical records of our patient, please sum them up."
    block = {"note": prompt} if where == "value" else {prompt: 1}
    assert event_of({"usage.raw": json.dumps(block)}).raw_usage is None
