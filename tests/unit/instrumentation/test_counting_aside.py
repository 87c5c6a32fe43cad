"""Nobody waits for tokens to be counted, and nothing is lost by that."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
from collections.abc import Generator

import pytest
from openai import OpenAI

from simulated_provider import Reply, SimulatedProvider
from spanmeter.instrumentation import estimating
from spanmeter.instrumentation.attempt import Attempt
from spanmeter.instrumentation.collected import Aside
from spanmeter.instrumentation.estimating import Tokenizer, register_tokenizer
from spanmeter.metering import attributes as names
from unit.instrumentation.recording import Recorder

LONG = Reply(text="word " * 50, chunks=50)
PATIENCE = 30


@pytest.fixture
def released(monkeypatch: pytest.MonkeyPatch) -> Generator[threading.Event]:
    """A tokenizer that takes until this is set to load."""
    monkeypatch.setattr(estimating, "finders", list(estimating.finders))
    released = threading.Event()

    def slow(provider: str, model: str) -> Tokenizer:
        assert released.wait(PATIENCE)
        return len

    register_tokenizer(slow)
    yield released
    released.set()


def cut(client: OpenAI, provider: SimulatedProvider) -> None:
    """Asks for a stream, and leaves it early."""
    provider.enqueue(LONG)
    with client.chat.completions.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": "Hello?"}], stream=True
    ) as stream:
        next(iter(stream))


def test_who_cuts_a_stream_does_not_wait_for_a_tokenizer(
    recorder: Recorder,
    provider: SimulatedProvider,
    openai_client: OpenAI,
    released: threading.Event,
) -> None:
    cut(openai_client, provider)
    left = time.time_ns()
    assert not released.is_set()
    released.set()
    span = recorder.only_span()
    assert span.attributes is not None
    assert span.attributes[names.USAGE_SOURCE] == names.SOURCE_TOKENIZER
    assert span.attributes[names.ERROR_TYPE] == names.CANCELLED
    # It ended when it was left, not when it had been counted.
    assert span.end_time is not None
    assert span.end_time <= left


@pytest.mark.parametrize("way", ["force_flush", "shutdown"])
def test_a_provider_that_is_flushed_waits_for_what_is_counted(
    recorder: Recorder,
    provider: SimulatedProvider,
    openai_client: OpenAI,
    released: threading.Event,
    way: str,
) -> None:
    ended: list[str] = []

    class Ends:
        """A span processor, of which only this matters."""

        def on_start(self, *args: object, **kwargs: object) -> None: ...
        def _on_ending(self, span: object) -> None: ...
        def on_end(self, span: object) -> None:
            ended.append("span")

        def shutdown(self) -> None:
            ended.append("shutdown")

        def force_flush(self, timeout_millis: int = 0) -> bool:
            ended.append("force_flush")
            return True

    recorder.tracer_provider.add_span_processor(Ends())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    cut(openai_client, provider)
    flush = threading.Thread(target=getattr(recorder.tracer_provider, way))
    flush.start()
    released.set()
    flush.join(PATIENCE)
    assert ended == ["span", way]


def test_an_attempt_that_has_ended_needs_no_collector(
    recorder: Recorder, provider: SimulatedProvider, openai_client: OpenAI
) -> None:
    def ask(*, stream: bool) -> None:
        answer = openai_client.chat.completions.create(
            model="gpt-4o-mini", messages=[{"role": "user", "content": "Hello?"}], stream=stream
        )
        if stream:
            list(answer)

    gc.collect()
    gc.disable()
    try:
        for stream in (False, True):
            ask(stream=stream)
            assert [each for each in gc.get_objects() if isinstance(each, Attempt)] == []
    finally:
        gc.enable()
    assert len(recorder.metered) == 2


PROGRAM = """
import sys, time
from openai import OpenAI
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter
from spanmeter.instrumentation import instrument
from spanmeter.instrumentation.estimating import register_tokenizer

def slow(provider, model):
    time.sleep(0.2)
    return len

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(ConsoleSpanExporter()))
trace.set_tracer_provider(provider)
register_tokenizer(slow)
instrument()
client = OpenAI(base_url=sys.argv[1], api_key="any")
messages = [{"role": "user", "content": "Hello?"}]
stream = client.chat.completions.create(model="gpt-4o-mini", messages=messages, stream=True)
next(iter(stream))
stream.close()
"""


def test_what_is_being_counted_at_exit_is_recorded(provider: SimulatedProvider) -> None:
    provider.enqueue(LONG)
    program = [sys.executable, "-W", "ignore", "-c", PROGRAM, provider.openai_base_url]
    done = subprocess.run(program, capture_output=True, text=True, check=True, timeout=120)
    assert '"usage.source": "tokenizer"' in done.stdout


def test_what_cannot_be_done_aside_is_done_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fail)
    ran: list[int] = []
    Aside().put(lambda: ran.append(1))
    assert ran == [1]


def test_a_job_that_fails_takes_no_other_along() -> None:
    done = threading.Event()
    aside = Aside()

    def fail() -> None:
        raise RuntimeError("a fault")

    aside.put(fail)
    aside.put(done.set)
    assert done.wait(PATIENCE)
