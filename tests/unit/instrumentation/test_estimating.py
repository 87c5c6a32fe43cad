"""Where the provider's count never comes, tokens are counted from the texts, and marked as such."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Mapping
from typing import Any

import pytest
from anthropic import Anthropic
from openai import OpenAI

from simulated_provider import Reply, SimulatedProvider
from spanmeter.instrumentation import estimating
from spanmeter.instrumentation.estimating import (
    Estimate,
    Tokenizer,
    estimated,
    openai_tokenizer,
    register_tokenizer,
)
from spanmeter.metering import attributes as names
from unit.instrumentation.recording import Recorder, check_usage

ASK: Any = [{"role": "user", "content": "How did we do?"}]
SLOW = Reply(text="word " * 50, chunks=50, chunk_delay=0.005)


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The tokenizers, of which nothing that a test adds is left."""
    finders = list(estimating.finders)
    monkeypatch.setattr(estimating, "finders", finders)
    return finders


@pytest.fixture
def without_encodings(monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    """As if the extra `tokenizers` were not installed."""
    monkeypatch.setitem(sys.modules, "bpe_openai", None)
    estimating.encoding.cache_clear()
    yield
    estimating.encoding.cache_clear()


# OpenAI's cookbook, "How to count tokens with tiktoken", "Comparing encodings".
COUNTS: Mapping[str, tuple[int, int]] = {
    "antidisestablishmentarianism": (6, 6),
    "2 + 2 = 4": (7, 7),
    "お誕生日おめでとう": (9, 8),
    "tiktoken is great!": (6, 6),
}


@pytest.mark.parametrize(("text", "counts"), COUNTS.items(), ids=COUNTS)
def test_openais_encodings_count_as_openai_does(text: str, counts: tuple[int, int]) -> None:
    cl100k, o200k = counts
    assert estimated([text], "openai", "gpt-4") == Estimate(cl100k, "tokenizer")
    assert estimated([text], "openai", "gpt-4o") == Estimate(o200k, "tokenizer")


BIRTHDAY = "お誕生日おめでとう"


@pytest.mark.parametrize(
    ("model", "encoding"),
    [
        ("gpt-3.5-turbo-0125", "cl100k"),
        ("gpt-4", "cl100k"),
        ("gpt-4-turbo-2024-04-09", "cl100k"),
        ("text-embedding-3-small", "cl100k"),
        ("gpt-4o-mini", "o200k"),
        ("gpt-4.1-nano", "o200k"),
        ("gpt-4.5-preview", "o200k"),
        ("gpt-5-mini", "o200k"),
        ("o4-mini", "o200k"),
        ("gpt-6-luna", "o200k"),
    ],
)
@pytest.mark.parametrize("provider", ["openai", "azure.ai.openai"])
def test_each_model_has_its_encoding(provider: str, model: str, encoding: str) -> None:
    tokens = estimated([BIRTHDAY], provider, model).tokens
    assert tokens == {"cl100k": 9, "o200k": 8}[encoding]


@pytest.mark.parametrize("provider", ["anthropic", "openai_compatible", "gcp.gemini"])
def test_a_model_that_is_not_openais_has_not_its_encodings(provider: str) -> None:
    assert openai_tokenizer(provider, "gpt-4o") is None


@pytest.mark.parametrize(
    ("texts", "tokens"),
    [
        ([], 0),
        ([""], 0),
        (["a"], 1),
        (["abcd"], 1),
        (["abcde"], 2),
        # Rounded once: a stream says a word at a time.
        (["ab", "cd", "ef", "gh"], 2),
        (["naïve"], 2),
        # 27 bytes of UTF-8.
        ([BIRTHDAY], 7),
        # Half of a surrogate pair, which no encoding has.
        (["\ud800"], 1),
    ],
)
def test_four_bytes_are_a_token_where_nobody_knows_the_model(texts: list[str], tokens: int) -> None:
    assert estimated(texts, "anthropic", "claude-haiku-4-5") == Estimate(tokens, "estimate")


@pytest.mark.usefixtures("without_encodings")
def test_without_the_extra_openais_models_are_estimated_too() -> None:
    assert estimated(["abcdefgh"], "openai", "gpt-4o") == Estimate(2, "estimate")


def by_words(provider: str, model: str) -> Tokenizer | None:
    return (lambda text: len(text.split())) if model.startswith("ours") else None


@pytest.mark.usefixtures("registry")
def test_a_tokenizer_that_is_registered_is_asked_first() -> None:
    register_tokenizer(by_words)
    register_tokenizer(lambda provider, model: None)
    assert estimated(["a b", "c"], "openai", "ours-7b") == Estimate(3, "tokenizer")
    assert estimated([BIRTHDAY], "openai", "gpt-4o") == Estimate(8, "tokenizer")


def failing(provider: str, model: str) -> Tokenizer | None:
    raise ZeroDivisionError


def failing_later(provider: str, model: str) -> Tokenizer | None:
    return lambda text: len(text) // 0


@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize("find", [failing, failing_later])
def test_a_tokenizer_that_fails_leaves_an_estimate(
    recorder: Recorder, find: Callable[[str, str], Tokenizer | None]
) -> None:
    register_tokenizer(find)
    assert estimated(["abcdefgh"], "openai", "gpt-4o") == Estimate(2, "estimate")


def left_after(stream: Any, events: int) -> None:
    with stream:
        for _, _ in zip(stream, range(events), strict=False):
            pass


def test_an_openai_stream_that_is_left_is_counted_by_its_encoding(
    recorder: Recorder, provider: SimulatedProvider, openai_client: OpenAI
) -> None:
    """Of what has come; a few chunks more than were read may have."""
    provider.enqueue(SLOW)
    stream = openai_client.chat.completions.create(model="gpt-4o-mini", messages=ASK, stream=True)
    left_after(stream, 10)
    span = recorder.only()
    assert span[names.INPUT_TOKENS] == estimated(["How did we do?"], "openai", "gpt-4o").tokens == 5
    assert 8 <= int(str(span[names.OUTPUT_TOKENS])) < 50
    assert span[names.USAGE_SOURCE] == names.SOURCE_TOKENIZER
    assert names.USAGE_RAW not in span


def test_an_anthropic_stream_that_is_left_has_the_providers_input(
    recorder: Recorder, provider: SimulatedProvider, anthropic_client: Anthropic
) -> None:
    """Told at its start, with a beginning of the output, which counts where it is the larger."""
    provider.enqueue(SLOW, SLOW)
    ask: Any = {"model": "claude-haiku-4-5", "max_tokens": 60, "messages": ASK, "stream": True}
    left_after(anthropic_client.messages.create(**ask), 3)
    left_after(anthropic_client.messages.create(**ask), 40)
    served = provider.wait_for_served(2)
    early, late = recorder.metered
    for span, booked in zip((early, late), served, strict=True):
        assert span[names.INPUT_TOKENS] == booked.tokens.input
        assert span[names.USAGE_SOURCE] == names.SOURCE_ESTIMATE
    assert early[names.OUTPUT_TOKENS] == 3
    assert 30 < int(str(late[names.OUTPUT_TOKENS])) < 70


def test_a_whole_stream_is_never_estimated(
    recorder: Recorder, provider: SimulatedProvider, openai_client: OpenAI
) -> None:
    for _ in openai_client.chat.completions.create(model="gpt-4o-mini", messages=ASK, stream=True):
        pass
    check_usage(recorder.only(), provider.served[0])


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_server_that_reports_nothing_is_counted_for(
    recorder: Recorder, provider: SimulatedProvider, openai_client: OpenAI, *, stream: bool
) -> None:
    text = "Revenue grew in every region."
    provider.enqueue(Reply(without_usage=True, text=text))
    answer: Any = openai_client.chat.completions.create(
        model="gpt-4o-mini", messages=ASK, stream=stream
    )
    if stream:
        for _ in answer:
            pass
    span = recorder.only()
    said = estimated([text], "openai", "gpt-4o-mini").tokens
    assert abs(int(str(span[names.OUTPUT_TOKENS])) - said) <= (2 if stream else 0)
    assert span[names.INPUT_TOKENS] == 5
    assert span[names.USAGE_SOURCE] == names.SOURCE_TOKENIZER
    assert names.ERROR_TYPE not in span


def test_no_text_is_on_a_span_that_is_estimated(
    recorder: Recorder, provider: SimulatedProvider, openai_client: OpenAI
) -> None:
    provider.enqueue(Reply(without_usage=True, text="the secret recipe"))
    openai_client.chat.completions.create(model="gpt-4o-mini", messages=ASK)
    shown = recorder.only_span().to_json()
    assert "secret" not in shown
    assert "How did we do" not in shown
