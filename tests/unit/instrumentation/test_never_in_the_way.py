"""Whatever of ours breaks, the application gets to the byte what it would have got, and one error is logged.

The one exception is what the application has switched on: a call without a tenant is refused under
SPANMETER_MISSING_TENANT=raise (test_missing_tenant.py).
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import FunctionType, ModuleType

import pytest
from opentelemetry.sdk.trace import Span, Tracer

from simulated_provider import Reply, SimulatedProvider
from spanmeter.instrumentation import (
    MissingTenant,
    attempt,
    call,
    callsite,
    endpoint,
    entering,
    framing,
    identity,
    instrumentor,
    json_codec,
    observing,
    scope,
    stainless,
    transport,
    usage,
    watching,
    wsgi,
)
from spanmeter.instrumentation import recorder as recorder_module
from spanmeter.instrumentation.clients import (
    anthropic,
    anthropic_messages,
    openai,
    openai_completions,
    openai_providers,
    openai_responses,
)
from spanmeter.instrumentation.collected import aside
from spanmeter.instrumentation.installed import Installed
from unit.instrumentation import faults
from unit.instrumentation.forms import (
    CHAT,
    COMPLETIONS,
    EMBEDDINGS,
    MESSAGES,
    RESPONSES,
    Api,
    async_client_of,
    client_of,
)
from unit.instrumentation.recording import Recorder

MODULES: list[ModuleType] = [
    attempt, call, callsite, endpoint, entering, framing, identity, instrumentor, json_codec,
    observing, scope, stainless, transport, watching, anthropic, anthropic_messages, openai, openai_completions,
    openai_providers, openai_responses, recorder_module,
]  # fmt: skip

# These stand between the application and all the rest: each hands on to what may fail, and catches.
# The last run when metering is switched on or off.
BOUNDARY = re.compile(
    r"_wrap|_send|_watch|ObservedBody|Observation\.([a-z]|__enter|__exit)"
    r"|(Usage|Context)Scope\.(__|_around|_entered)|within|(Entry|Calling|Sending)\.__e"
    r"|Entry\.leave|Sending\.read"
    r"|\w+Instrumentor\.(_uninstrument|_apply|instrumentation)"
)

# What hides the usage event that was asked for. Where it breaks the event is seen; that is all.
HIDING = re.compile(
    # Without an attempt nothing is watched.
    r"_begin|sending_by|Sending|current_call|Call.attempt|Attempt.__init__|Record(er|ing)\."
    r"|observe|Observation|EventWatcher|ServerSentEvents|_data_of|framing_of|watcher_for"
    r"|_parsed|decoded|mapping"
)


BREAKABLE = {
    function.__qualname__: function
    for function in faults.functions_of(MODULES)
    if not BOUNDARY.match(function.__qualname__) and not function.__code__.co_freevars
}

Use = Callable[[SimulatedProvider], object]


def _same(body: bytes) -> bytes:
    body = re.sub(rb'"(id|item_id)":"[\w-]+"', b"", body)
    body = re.sub(rb'"created(_at)?":\d+', b"", body)
    return body.replace(b',"usage":null', b"")


def _bytes(api: Api, provider: SimulatedProvider, **further: object) -> bytes:
    with client_of(api, provider) as client:
        create = api.resource(client).with_streaming_response.create
        with create(**api.arguments, **further) as response:
            return _same(b"".join(response.iter_bytes()))


def whole(provider: SimulatedProvider) -> object:
    with client_of(RESPONSES, provider) as client:
        return client.responses.create(**RESPONSES.arguments).output_text


def piecemeal(provider: SimulatedProvider) -> object:
    return _bytes(EMBEDDINGS, provider)


def stream_asked(provider: SimulatedProvider) -> object:
    return _bytes(CHAT, provider, stream=True, stream_options={"include_usage": True})


def stream_unasked(provider: SimulatedProvider) -> object:
    provider.enqueue(Reply(chunks=7))
    return _bytes(COMPLETIONS, provider, stream=True)


def stream_raw(provider: SimulatedProvider) -> object:
    with client_of(MESSAGES, provider) as client:
        create = client.messages.with_streaming_response.create
        with create(**MESSAGES.arguments, stream=True) as response:
            return _same(b"".join(response.http_response.iter_raw()))


def stream_left(provider: SimulatedProvider) -> object:
    provider.enqueue(Reply(chunks=20))
    with (
        client_of(MESSAGES, provider) as client,
        client.messages.create(**MESSAGES.arguments, stream=True) as stream,
    ):
        return [event.type for event, _ in zip(stream, range(5), strict=False)]


def refused(provider: SimulatedProvider) -> object:
    provider.enqueue(Reply(status=429, retry_after=0.001), Reply(status=400))
    with client_of(CHAT, provider) as client, pytest.raises(Exception) as caught:  # noqa: PT011 - compared
        CHAT.resource(client).create(**CHAT.arguments)
    return type(caught.value)


def stream_async(provider: SimulatedProvider) -> object:
    @usage(tenant_id="acme", feature="read")
    async def read() -> list[str]:
        provider.enqueue(Reply(status=500, retry_after=0.001), Reply())
        async with async_client_of(RESPONSES, provider) as client, usage(tenant_id="acme"):
            stream = await client.responses.create(**RESPONSES.arguments, stream=True)
            return [event.type async for event in stream]

    return asyncio.run(read())


USES: list[Use] = [
    whole, piecemeal, stream_asked, stream_raw, stream_left, refused, stream_async, stream_unasked,
]  # fmt: skip


def run(provider: SimulatedProvider) -> Mapping[Use, object]:
    """What the application gets from each use."""
    results: dict[Use, object] = {}
    for use in USES:
        provider.reset()
        # In a context of its own: what is broken may be what would leave one.
        results[use] = contextvars.copy_context().run(use, provider)
    aside.settle()
    return results


@pytest.fixture(scope="module")
def undisturbed(running_provider: SimulatedProvider) -> Mapping[Use, object]:
    """What it gets without us."""
    return run(running_provider)


@pytest.fixture
def harmless(
    recorder: Recorder,
    provider: SimulatedProvider,
    undisturbed: Mapping[Use, object],
    caplog: pytest.LogCaptureFixture,
) -> Callable[[str], None]:
    """Checks that all uses go as they would without us, while something is broken."""

    def check(name: str) -> None:
        faults.raised.clear()
        results = dict(run(provider))
        if HIDING.match(name):
            seen, expected = results[stream_unasked], undisturbed[stream_unasked]
            assert isinstance(seen, bytes)
            results[stream_unasked] = re.sub(rb'data: [^\n]*"choices":\[\][^\n]*\n\n', b"", seen)
            assert results[stream_unasked] == expected
        assert results == undisturbed
        errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
        assert bool(errors) == bool(faults.raised)

    return check


@pytest.mark.parametrize("name", sorted(BREAKABLE))
def test_a_fault_of_ours_is_logged_and_nothing_else(
    name: str, harmless: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BREAKABLE[name], "__code__", faults.fail.__code__)
    harmless(name)


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (Tracer, "start_span"),
        (Span, "set_attribute"),
        (Span, "set_attributes"),
        (Span, "set_status"),
        (Span, "end"),
    ],
)
def test_nor_is_a_fault_of_opentelemetrys_seen(
    owner: type[object],
    name: str,
    harmless: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(owner, name, faults.fail)
    harmless(name)


def test_most_functions_are_broken_here() -> None:
    """The list above is made by looking; it must have found what there is."""
    assert len(BREAKABLE) > 60
    assert {"read_completion", "Attempt.end", "Call.attempt", "ServerSentEvents.whole"} <= set(
        BREAKABLE
    )


def test_where_an_answer_cannot_be_read_the_attempt_ends(
    recorder: Recorder, provider: SimulatedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BREAKABLE["observe"], "__code__", faults.fail.__code__)
    piecemeal(provider)
    assert recorder.only()["gen_ai.operation.name"] == "embeddings"


class OfNothing(instrumentor.ClientInstrumentor):
    """Meters no library."""

    package = "nothing"
    patches = ()


@pytest.mark.parametrize("broken", [Installed.__init__, transport.patch_httpx])
def test_metering_is_switched_on_as_far_as_it_can_be(
    broken: FunctionType, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults.raised.clear()
    monkeypatch.setattr(broken, "__code__", faults.fail.__code__)
    OfNothing().instrument()
    OfNothing().uninstrument()
    assert faults.raised


def test_a_body_is_served_where_its_context_cannot_be_entered(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = wsgi.UsageMiddleware(lambda environ, start_response: [b"an ", b"answer"])
    body = app({}, lambda *args: None)
    monkeypatch.setattr(BREAKABLE["Entry.__init__"], "__code__", faults.fail.__code__)
    assert b"".join(body) == b"an answer"


def test_the_same_fault_is_logged_once(
    recorder: Recorder,
    provider: SimulatedProvider,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(BREAKABLE["read_completion"], "__code__", faults.fail.__code__)
    for _ in range(3):
        with suppress(RuntimeError):
            piecemeal(provider)
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(errors) == 1
    assert "the call goes on" in errors[0].getMessage()


def test_only_what_the_application_switched_on_reaches_it(
    recorder: Recorder,
    provider: SimulatedProvider,
    undisturbed: Mapping[Use, object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def switched_on() -> Mapping[Use, object]:
        monkeypatch.setenv("SPANMETER_MISSING_TENANT", "raise")
        return run(provider)

    with pytest.raises(MissingTenant):
        switched_on()
    # A tenant that cannot be known, for a fault of ours, is not missing.
    monkeypatch.setattr(BREAKABLE["set_aside"], "__code__", faults.fail.__code__)
    assert dict(switched_on()) == undisturbed
