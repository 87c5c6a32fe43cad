"""However a stream's bytes are laid out, the SDKs read the same from it."""

import pytest
from anthropic import Anthropic
from openai import OpenAI

from simulated_provider import Framing, Reply, SimulatedProvider

TEXT = "naïve café → Zürich, überall"

FRAMINGS = {
    "plain": Framing(),
    "crlf": Framing(line_end="\r\n"),
    "byte by byte": Framing(split=1),
    "crlf cut in two": Framing(line_end="\r\n", split=7),
    "all at once": Framing(split=1_000_000),
    "comments": Framing(comments=True),
}


@pytest.mark.parametrize("packed", [False, True], ids=["identity", "gzip"])
@pytest.mark.parametrize("framing", FRAMINGS.values(), ids=FRAMINGS)
def test_openai_reads_every_framing(
    provider: SimulatedProvider, openai_client: OpenAI, framing: Framing, *, packed: bool
) -> None:
    provider.enqueue(Reply(text=TEXT, framing=framing, gzip=packed))
    chunks = list(
        openai_client.chat.completions.create(
            model="gpt-4o-mini",
            messages=[{"role": "user", "content": "Where?"}],
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == TEXT
    [served] = provider.served
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.model_dump(exclude_unset=True) == served.usage


@pytest.mark.parametrize("packed", [False, True], ids=["identity", "gzip"])
@pytest.mark.parametrize("framing", FRAMINGS.values(), ids=FRAMINGS)
def test_anthropic_reads_every_framing(
    provider: SimulatedProvider, anthropic_client: Anthropic, framing: Framing, *, packed: bool
) -> None:
    provider.enqueue(Reply(text=TEXT, framing=framing, gzip=packed))
    with anthropic_client.messages.stream(
        model="claude-haiku-4-5", max_tokens=500, messages=[{"role": "user", "content": "Where?"}]
    ) as stream:
        assert stream.get_final_text() == TEXT
    [served] = provider.served
    assert stream.get_final_message().usage.output_tokens == served.tokens.output


def test_streams_are_flushed_event_by_event(
    provider: SimulatedProvider, openai_client: OpenAI
) -> None:
    """Even compressed: what comes before the silence is there to be read."""
    provider.enqueue(Reply(text=TEXT, gzip=True, hang_after=2))
    stream = openai_client.chat.completions.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": "Where?"}], stream=True
    )
    assert stream.response.headers["content-encoding"] == "gzip"
    assert stream.response.headers["content-type"] == "text/event-stream; charset=utf-8"
    said = [next(stream).choices[0].delta.content for _ in range(3)]
    stream.close()
    assert said == ["", "naïve", " café"]


def test_whole_answers_are_plain_for_who_cannot_unpack(
    provider: SimulatedProvider, openai_client: OpenAI
) -> None:
    raw = openai_client.chat.completions.with_raw_response.create(
        model="gpt-4o-mini",
        messages=[{"role": "user", "content": "Where?"}],
        extra_headers={"accept-encoding": "identity"},
    )
    assert "content-encoding" not in raw.headers
