"""The pages of several workers as one."""

from __future__ import annotations

import os
import time
from pathlib import Path

from scraping import Scraped
from spanmeter.collector_receiver.metrics_page import STALE, SharedPages, merged
from spanmeter.collector_receiver.settings import Worker

PAGE = """\
# HELP spanmeter_collector_span_received_total Spans received
# TYPE spanmeter_collector_span_received_total counter
spanmeter_collector_span_received_total {spans}
# HELP spanmeter_collector_commit_rows Rows of one transaction
# TYPE spanmeter_collector_commit_rows histogram
spanmeter_collector_commit_rows_bucket{{le="10.0"}} 1.0
spanmeter_collector_commit_rows_bucket{{le="+Inf"}} 2.0
spanmeter_collector_commit_rows_count 2.0
spanmeter_collector_commit_rows_sum {spans}
"""


def page(spans: int) -> str:
    return PAGE.format(spans=spans)


def test_each_sample_names_its_worker_and_each_family_comes_once() -> None:
    text = merged({"0": page(10), "1": page(32)}).decode()

    assert text.count("# TYPE spanmeter_collector_span_received_total counter") == 1
    assert text.count("# TYPE spanmeter_collector_commit_rows histogram") == 1
    whole = Scraped(text)
    assert whole.by("span_received_total", "worker") == {"0": 10, "1": 32}
    assert whole.by("commit_rows_sum", "worker") == {"0": 10, "1": 32}
    assert whole.by("commit_rows_bucket", "le") == {"10.0": 2, "+Inf": 4}


def test_what_one_alone_knows_is_there_once() -> None:
    alone = "# TYPE spanmeter_collector_producer_missing gauge\nspanmeter_collector_producer_missing 3\n"
    whole = Scraped(merged({"0": page(1) + alone, "1": page(1)}).decode())
    assert whole.of("producer_missing") == {(("worker", "0"),): 3}


def test_who_is_asked_answers_with_its_own_page_as_it_is_now(tmp_path: Path) -> None:
    spans = 5
    pages = SharedPages(Worker(0, tmp_path), lambda: page(spans).encode())
    other = SharedPages(Worker(1, tmp_path), lambda: page(7).encode())
    for each in (pages, other):
        each.start()
        each.stop()
    spans = 6
    assert Scraped(pages().decode()).by("span_received_total", "worker") == {"0": 6, "1": 7}
    assert Scraped(other().decode()).by("span_received_total", "worker") == {"0": 5, "1": 7}


def test_a_page_that_is_not_renewed_is_left_out(tmp_path: Path) -> None:
    pages = SharedPages(Worker(1, tmp_path), lambda: page(1).encode())
    left = tmp_path / "0.prom"
    left.write_text(page(9))
    assert Scraped(pages().decode()).sum("span_received_total") == 10
    before = time.time() - STALE - 1
    os.utime(left, (before, before))
    assert Scraped(pages().decode()).sum("span_received_total") == 1
