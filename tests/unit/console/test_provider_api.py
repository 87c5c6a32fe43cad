"""The APIs that providers report by: asked page by page, waited for, and what they refuse."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest

from spanmeter.console.bills import anthropic, openai
from spanmeter.console.bills.provider_api import ANTHROPIC, OPENAI, ProviderRefused, fetched
from spanmeter.metering.reconciliation.bill import UnreadableBill
from unit.console.test_bills import DAY, START, cost, openai_bucket, page

Answer = tuple[int, dict[str, str], object]


class Api(BaseHTTPRequestHandler):
    """A provider's API: what it was asked, and answers in turn for each path, else an empty page."""

    asked: ClassVar[list[tuple[str, dict[str, list[str]], dict[str, str]]]]
    answers: ClassVar[dict[str, list[Answer]]]

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.asked.append((url.path, parse_qs(url.query), headers))
        status, more, body = self.answers.get(url.path, [(200, {}, page())]).pop(0)
        content = json.dumps(body).encode()
        self.send_response(status)
        for name, value in more.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Nothing on standard error."""


@contextmanager
def serving(*costs: Answer) -> Generator[tuple[str, type[Api]]]:
    """An API that gives these answers to who asks for OpenAI's costs."""

    class Serving(Api):
        asked: ClassVar[list[tuple[str, dict[str, list[str]], dict[str, str]]]] = []
        answers: ClassVar[dict[str, list[Answer]]] = {}

    if costs:
        Serving.answers["/v1/organization/costs"] = [*costs]
    with ThreadingHTTPServer(("127.0.0.1", 0), Serving) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", Serving
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds waited, which are not."""
    waited: list[float] = []
    monkeypatch.setattr("spanmeter.console.bills.provider_api.time.sleep", waited.append)
    monkeypatch.setenv(OPENAI.key, "sk-admin-1")
    monkeypatch.setenv(ANTHROPIC.key, "sk-ant-admin-1")
    return waited


def test_all_pages_are_asked_for_and_what_passes_is_waited_for(waits: list[float]) -> None:
    first = page(openai_bucket(cost("a, input", 1)), has_more=True, next_page="page_2")
    second = page(openai_bucket(cost("b, input", 2)))
    passing: list[Answer] = [(429, {"retry-after": "7"}, {}), (503, {}, {})]
    with serving((200, {}, first), *passing, (200, {}, second)) as (address, api):
        lines = openai.bill(fetched(OPENAI, DAY, date(2026, 10, 8), address=address)).lines

    assert [line.amount for line in lines] == [1, 2]
    assert waits == [7, 2]
    path, query, headers = api.asked[0]
    assert path == "/v1/organization/costs"
    assert query["start_time"] == [str(START)]
    assert query["end_time"] == [str(START + 3 * 86400)]
    assert query["group_by"] == ["project_id", "line_item"]
    assert headers["authorization"] == "Bearer sk-admin-1"
    assert api.asked[1][1]["page"] == ["page_2"]


def test_anthropic_is_asked_in_its_own_way(waits: list[float]) -> None:
    with serving() as (address, api):
        found = fetched(ANTHROPIC, DAY, date(2026, 10, 6), address=address)
        assert anthropic.bill(found).lines == ()

    assert [path for path, *_ in api.asked] == [
        "/v1/organizations/cost_report",
        "/v1/organizations/usage_report/messages",
    ]
    _, query, headers = api.asked[0]
    assert query["starting_at"] == ["2026-10-05T00:00:00Z"]
    assert query["group_by[]"] == ["workspace_id", "description"]
    assert headers["x-api-key"] == "sk-ant-admin-1"
    assert headers["anthropic-version"]
    assert waits == []


def test_a_refusal_is_told_in_the_provider_s_words_and_without_the_key(waits: list[float]) -> None:
    refusal = {"error": {"message": "You have insufficient permissions"}}
    with serving((403, {}, refusal)) as (address, _), pytest.raises(ProviderRefused) as refused:
        openai.bill(fetched(OPENAI, DAY, date(2026, 10, 6), address=address))

    assert str(refused.value) == (
        "OpenAI's answer to /v1/organization/costs, page 1 is the status 403:"
        " You have insufficient permissions"
    )
    assert waits == []


def test_a_page_that_names_itself_as_the_next_ends_it(waits: list[float]) -> None:
    endless: Answer = (200, {}, page(has_more=True, next_page="page_1"))
    with (
        serving(endless, endless, endless) as (address, _),
        pytest.raises(UnreadableBill, match="names itself"),
    ):
        list(fetched(OPENAI, DAY, date(2026, 10, 6), address=address))
    assert waits == []


def test_without_a_key_it_is_said_which_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(OPENAI.key, raising=False)
    with pytest.raises(ProviderRefused, match="OPENAI_ADMIN_KEY is not set"):
        list(fetched(OPENAI, DAY, date(2026, 10, 6)))
