"""Which watcher a body gets."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from spanmeter.instrumentation.clients.openai_later import FILES
from spanmeter.instrumentation.watching import MediaWatcher, ResultsWatcher, watcher_for


@pytest.mark.parametrize(
    ("content_type", "watcher"),
    [
        ("application/octet-stream", ResultsWatcher),
        ("application/jsonl", ResultsWatcher),
        ("", ResultsWatcher),
        ("video/mp4", MediaWatcher),
        ("image/png", MediaWatcher),
        ("audio/mpeg", MediaWatcher),
    ],
)
def test_a_file_that_may_hold_results_is_read_by_the_line_unless_it_is_a_film(
    content_type: str, watcher: type[Any]
) -> None:
    call: Any = SimpleNamespace(endpoint=FILES)
    attempt: Any = None
    assert isinstance(watcher_for(content_type, attempt, call), watcher)
