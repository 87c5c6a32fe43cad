"""What a request tells of what it will use, before it is made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from spanmeter.instrumentation.budgets.estimating import expected
from spanmeter.instrumentation.budgets.policy import Rule
from spanmeter.instrumentation.budgets.rates import Rates
from spanmeter.instrumentation.clients import google_usage, openai_media
from spanmeter.instrumentation.endpoint import Endpoint, Json, Reading, counts
from spanmeter.metering import attributes as names


def endpoint(operation: str) -> Endpoint:
    def read(body: Json) -> Reading:
        raise AssertionError("nothing is read")

    return Endpoint(operation, read, read, counts)


CHAT, RERANK, OCR = (endpoint(each) for each in (names.CHAT, names.RERANK, names.OCR))

REQUESTS: Mapping[str, tuple[Endpoint, dict[str, Any], dict[str, float], int | None]] = {
    "a chat": (CHAT, {"max_tokens": 7}, {}, 7),
    "images": (openai_media.IMAGES, {"n": 3, "quality": "low"}, {"images": 3}, 3 * 408),
    "images of a kind": (
        openai_media.IMAGES,
        {"size": "1024x1024", "quality": "hd"},
        {"images": 1, "images.1024x1024.hd": 1},
        6240,
    ),
    "pictures": (google_usage.PICTURE, {"parameters": {"sampleCount": 4}}, {"images": 4}, 4 * 6240),
    "speech": (openai_media.SPEECH, {"input": "words"}, {"input_characters": 5}, 10),
    "a video": (openai_media.VIDEOS, {"seconds": "12"}, {"video_seconds": 12}, 0),
    "a video that does not say": (openai_media.VIDEOS, {}, {"video_seconds": 8}, 0),
    "videos": (
        google_usage.VIDEO,
        {"parameters": {"sampleCount": 2, "durationSeconds": 6}},
        {"videos": 2, "video_seconds": 12},
        0,
    ),
    "reranking": (RERANK, {"documents": ["d"] * 101}, {"rerank_searches": 2}, 0),
    "pages": (OCR, {"pages": [1, 2, 3]}, {"input_document_pages": 3}, 0),
    "searches": (
        CHAT,
        {"tools": [{"type": "web_search_20250305", "max_uses": 5}, {"type": "function"}]},
        {"web_searches": 5},
        None,
    ),
    "nonsense": (openai_media.IMAGES, {"n": "many"}, {"images": 1}, 6240),
    "endless": (openai_media.VIDEOS, {"seconds": "inf"}, {"video_seconds": 8}, 0),
}


@pytest.mark.parametrize(("asked", "body", "units", "output"), REQUESTS.values(), ids=REQUESTS)
def test_units_and_output_are_foreseen(
    asked: Endpoint, body: dict[str, Any], units: dict[str, float], output: int | None
) -> None:
    found = expected(asked, body)
    assert (found.units, found.output) == (units, output)


RULE = Rule(
    name="b",
    scope={},
    metric="cost",
    currency="USD",
    action="block",
    fails_closed=False,
    per_request=None,
    unpriced=None,
    output_tokens=4096,
    max_wait=1.0,
    least_output=256,
    models={},
)
DOLLAR = 10**12


def test_what_has_a_price_of_its_own_is_not_charged_with_the_whole() -> None:
    body = {"n": 2, "size": "1024x1024", "quality": "hd"}
    found = expected(openai_media.IMAGES, body)._replace(input=0, output=0)
    by_kind = {"images": DOLLAR // 100, "images.1024x1024.hd": DOLLAR // 10}
    rates = Rates(currency="USD", units={"requests": 5, **by_kind})
    assert found.amount(RULE, rates) == 2 * DOLLAR // 10 + 5
    assert found.amount(RULE, rates._replace(units={"images": DOLLAR})) == 2 * DOLLAR
    # Nothing of it has a price.
    assert found.amount(RULE, Rates(currency="USD")) == 0
    assert found.amount(RULE._replace(metric="unit:images"), None) == 2 * DOLLAR
