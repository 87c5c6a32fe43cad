"""Every form of a google-genai call is what the provider has booked, over every transport of it."""

from __future__ import annotations

import asyncio
import gc
import json
import ssl
import threading
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Mapping
from contextlib import suppress
from importlib.metadata import version
from typing import Any

import httpx
import httpx2
import pytest
from google.genai import Client, errors, types
from google.oauth2.credentials import Credentials

from simulated_provider import Framing, Reply, SimulatedProvider
from spanmeter.instrumentation import usage
from spanmeter.instrumentation.clients.google_usage import endpoint_of, generated_attributes
from spanmeter.metering import attributes as names
from unit.instrumentation.recording import Attributes, Recorder, check_raw_usage, check_usage

# The SDK's own sessions are a subclass of aiohttp's, made on first use.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class:DeprecationWarning")

# The SDK sends by httpx2 since 3.0.
HTTP: Any = httpx if version("google-genai") < "3" else httpx2
NO_AUTHORITIES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
MODEL = "gemini-2.5-flash"
ASK: dict[str, Any] = {"model": MODEL, "contents": "How did we do?"}
LONG: dict[str, Any] = {"model": MODEL, "contents": "What did we say of it? " * 400}
SLOW = Reply(chunks=50, chunk_delay=0.005)
LIMITED = Reply(status=429)
OVERLOADED = Reply(status=503)

AsyncForm = Callable[[Any], Awaitable[object]]
Form = Callable[[Any], object]


def options_of(provider: SimulatedProvider, **options: Any) -> types.HttpOptions:
    retries = types.HttpRetryOptions(attempts=3, initial_delay=0.001, max_delay=0.002)
    # Reading the certificate authorities takes longer than the whole test.
    options.setdefault("client_args", {"verify": NO_AUTHORITIES})
    options.setdefault("async_client_args", {"verify": NO_AUTHORITIES, "ssl": NO_AUTHORITIES})
    return types.HttpOptions(base_url=provider.url, retry_options=retries, **options)


def client_of(provider: SimulatedProvider, **options: Any) -> Any:
    return Client(api_key="any", http_options=options_of(provider, **options))


def vertex_client_of(provider: SimulatedProvider) -> Any:
    return Client(
        vertexai=True,
        project="any",
        location="europe-west4",
        credentials=Credentials(token="any"),  # type: ignore[no-untyped-call]
        http_options=options_of(provider),
    )


@pytest.fixture
def client(provider: SimulatedProvider) -> Generator[Any]:
    with client_of(provider) as client:
        yield client


@pytest.fixture
def vertex(provider: SimulatedProvider) -> Generator[Any]:
    with vertex_client_of(provider) as client:
        yield client


def run(client: Any, form: AsyncForm) -> None:
    """Runs a form with the async side of a client."""

    async def call() -> None:
        async with client.aio as aio:
            await form(aio)

    asyncio.run(call())


async def drained(stream: AsyncIterator[object]) -> None:
    async for _ in stream:
        pass


FORMS: Mapping[str, Form] = {
    "plain": lambda client: client.models.generate_content(**ASK),
    "long": lambda client: client.models.generate_content(**LONG),
    "chat": lambda client: client.chats.create(model=MODEL).send_message("How did we do?"),
    "stream": lambda client: deque(client.models.generate_content_stream(**ASK)),
    "long stream": lambda client: deque(client.models.generate_content_stream(**LONG)),
    "chat stream": lambda client: deque(
        client.chats.create(model=MODEL).send_message_stream("How did we do?")
    ),
}


async def _stream_async(aio: Any) -> None:
    await drained(await aio.models.generate_content_stream(**ASK))


async def _chat_stream_async(aio: Any) -> None:
    await drained(await aio.chats.create(model=MODEL).send_message_stream("How did we do?"))


ASYNC_FORMS: Mapping[str, AsyncForm] = {
    "plain": lambda aio: aio.models.generate_content(**ASK),
    "chat": lambda aio: aio.chats.create(model=MODEL).send_message("How did we do?"),
    "stream": _stream_async,
    "chat stream": _chat_stream_async,
}

each_form = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
each_async_form = pytest.mark.parametrize("form", ASYNC_FORMS.values(), ids=ASYNC_FORMS)


@each_form
@pytest.mark.parametrize("backend", ["httpx", "httpx2"])
def test_a_call_is_what_was_booked(
    recorder: Recorder,
    provider: SimulatedProvider,
    monkeypatch: pytest.MonkeyPatch,
    form: Form,
    backend: str,
) -> None:
    monkeypatch.setenv("GOOGLE_GENAI_HTTP_CLIENT", backend)
    with client_of(provider) as client:
        form(client)
    [served] = provider.served
    check_usage(recorder.only(), served)
    assert recorder.only()[names.PROVIDER_NAME] == "gcp.gemini"
    assert recorder.only()[names.USAGE_SERVICE_TIER] == "standard"


@each_async_form
@pytest.mark.parametrize("backend", ["aiohttp", "httpx", "httpx2", "own transport"])
def test_an_async_call_is_what_was_booked(
    recorder: Recorder,
    provider: SimulatedProvider,
    monkeypatch: pytest.MonkeyPatch,
    form: AsyncForm,
    backend: str,
) -> None:
    options: dict[str, Any] = {}
    if backend == "own transport":
        options["async_client_args"] = {"transport": HTTP.AsyncHTTPTransport(verify=NO_AUTHORITIES)}
    elif backend != "aiohttp":
        monkeypatch.setattr("google.genai._api_client.has_aiohttp", False)
        monkeypatch.setenv("GOOGLE_GENAI_HTTP_CLIENT", backend)
    run(client_of(provider, **options), form)
    [served] = provider.served
    check_usage(recorder.only(), served)


@pytest.mark.parametrize(
    "framing",
    [Framing(line_end="\r\n"), Framing(split=7), Framing(split=1)],
    ids=["crlf", "split", "bytes"],
)
def test_a_stream_is_read_however_its_bytes_come(
    recorder: Recorder, provider: SimulatedProvider, client: Any, framing: Framing
) -> None:
    provider.enqueue(Reply(framing=framing, gzip=True), Reply(framing=framing, gzip=True))
    FORMS["stream"](client)
    run(client, ASYNC_FORMS["stream"])
    for span, served in zip(recorder.metered, provider.served, strict=True):
        check_usage(span, served)


def test_a_prompt_that_was_cached_is_counted_in_the_input(
    recorder: Recorder, provider: SimulatedProvider, client: Any
) -> None:
    for _ in range(2):
        client.models.generate_content(**LONG)
    first, second = recorder.metered
    assert names.CACHE_READ_INPUT_TOKENS not in first
    cached, given = second[names.CACHE_READ_INPUT_TOKENS], second[names.INPUT_TOKENS]
    assert isinstance(cached, int)
    assert isinstance(given, int)
    assert 1024 <= cached <= given == first[names.INPUT_TOKENS]
    check_usage(second, provider.served[-1])


TEXT = {"modality": "TEXT", "tokenCount": 60}
AUDIO = {"modality": "AUDIO", "tokenCount": 30}
IMAGE = {"modality": "IMAGE", "tokenCount": 20}
VIDEO = {"modality": "VIDEO", "tokenCount": 15}
DOCUMENT = {"modality": "DOCUMENT", "tokenCount": 7}

BLOCKS: Mapping[str, tuple[dict[str, Any], dict[str, int]]] = {
    "thoughts are output": (
        {"promptTokenCount": 8, "candidatesTokenCount": 10, "thoughtsTokenCount": 32},
        {
            names.INPUT_TOKENS: 8,
            names.OUTPUT_TOKENS: 42,
            names.REASONING_OUTPUT_TOKENS: 32,
        },
    ),
    "nothing but thoughts": (
        {"promptTokenCount": 8, "thoughtsTokenCount": 32},
        {
            names.INPUT_TOKENS: 8,
            names.OUTPUT_TOKENS: 32,
            names.REASONING_OUTPUT_TOKENS: 32,
        },
    ),
    "what a tool fed in is input": (
        {
            "promptTokenCount": 100,
            "toolUsePromptTokenCount": 40,
            "toolUsePromptTokensDetails": [{"modality": "IMAGE", "tokenCount": 5}],
            "promptTokensDetails": [IMAGE],
            "candidatesTokenCount": 10,
        },
        {
            names.INPUT_TOKENS: 140,
            names.IMAGE_INPUT_TOKENS: 25,
            names.OUTPUT_TOKENS: 10,
        },
    ),
    "cached tokens are in the prompt": (
        {
            "promptTokenCount": 132,
            "cachedContentTokenCount": 90,
            "promptTokensDetails": [TEXT, AUDIO, IMAGE, VIDEO, DOCUMENT],
            "cacheTokensDetails": [TEXT, AUDIO],
            "candidatesTokenCount": 50,
            "candidatesTokensDetails": [IMAGE, AUDIO],
        },
        {
            names.INPUT_TOKENS: 132,
            names.CACHE_READ_INPUT_TOKENS: 90,
            names.AUDIO_INPUT_TOKENS: 30,
            names.AUDIO_CACHE_READ_INPUT_TOKENS: 30,
            names.IMAGE_INPUT_TOKENS: 27,
            names.quantity("input_video_tokens"): 15,
            names.OUTPUT_TOKENS: 50,
            names.AUDIO_OUTPUT_TOKENS: 30,
            names.IMAGE_OUTPUT_TOKENS: 20,
        },
    ),
}


@pytest.mark.parametrize(("block", "expected"), BLOCKS.values(), ids=BLOCKS)
@pytest.mark.parametrize("form", ["plain", "stream"])
def test_every_count_of_the_usage_block_is_on_the_span(
    recorder: Recorder,
    provider: SimulatedProvider,
    client: Any,
    block: dict[str, Any],
    expected: dict[str, int],
    form: str,
) -> None:
    provider.enqueue(Reply(usage=block))
    FORMS[form](client)
    span = recorder.only()
    found = {
        name: value
        for name, value in span.items()
        if name.startswith(("gen_ai.usage.", names.USAGE_QUANTITY_PREFIX))
    }
    assert found == expected
    check_raw_usage(span, provider.served[0])


@pytest.mark.parametrize(
    ("traffic", "tier"),
    [
        ("ON_DEMAND", "standard"),
        ("ON_DEMAND_PRIORITY", "priority"),
        ("PROVISIONED_THROUGHPUT", "provisioned_throughput"),
    ],
)
def test_vertex_ai_says_where_and_how_it_served(
    recorder: Recorder, provider: SimulatedProvider, vertex: Any, traffic: str, tier: str
) -> None:
    provider.enqueue(Reply(service_tier=traffic))
    vertex.models.generate_content(**ASK)
    span = recorder.only()
    check_usage(span, provider.served[0])
    assert span[names.PROVIDER_NAME] == "gcp.vertex_ai"
    assert span[names.USAGE_REGION] == "europe-west4"
    assert span[names.USAGE_SERVICE_TIER] == tier


@pytest.mark.parametrize(("model", "searches"), [("gemini-2.5-flash", 1), ("gemini-3.8-flash", 2)])
@pytest.mark.parametrize("form", ["generate_content", "generate_content_stream"])
def test_searches_are_counted_as_they_are_charged(
    recorder: Recorder, client: Any, model: str, searches: int, form: str
) -> None:
    search = types.GenerateContentConfig(tools=[types.Tool(google_search=types.GoogleSearch())])
    deque(getattr(client.models, form)(model=model, contents="How did we do?", config=search))
    assert recorder.only()[names.quantity("web_searches")] == searches


# Automatic function calling: each turn is a call, and the functions run in the user's own context.


def test_each_turn_of_automatic_function_calling_is_a_record(
    recorder: Recorder, provider: SimulatedProvider, client: Any
) -> None:
    def revenue(region: str) -> str:
        """The revenue of a region."""
        return f"much in {region}"

    config = types.GenerateContentConfig(tools=[revenue])
    client.models.generate_content(**ASK, config=config)
    deque(client.models.generate_content_stream(**ASK, config=config))
    assert len(provider.served) == 4
    for span, served in zip(recorder.metered, provider.served, strict=True):
        check_usage(span, served)


def test_what_a_function_calls_belongs_to_the_tenant_it_is_called_for(
    recorder: Recorder, client: Any
) -> None:
    def ask_another() -> str:
        """Asks another model."""
        client.models.generate_content(model="gemini-2.5-pro", contents="And you?")
        with usage(tenant_id="another"):
            client.models.generate_content(model="gemini-2.0-flash", contents="And you?")
        return "asked"

    config = types.GenerateContentConfig(tools=[ask_another])
    with usage(tenant_id="acme", feature="tools"):
        client.models.generate_content(**ASK, config=config)
        stream = client.models.generate_content_stream(**ASK, config=config)
    with usage(tenant_id="somebody else"):
        deque(stream)
    turn = [
        (MODEL, "acme", "tools"),
        ("gemini-2.5-pro", "acme", "tools"),
        ("gemini-2.0-flash", "another", None),
        (MODEL, "acme", "tools"),
    ]
    # A function is called before the stream that asked for it has ended.
    spans = sorted(recorder.spans, key=lambda span: span.start_time or 0)
    assert [
        (span[names.REQUEST_MODEL], span[names.TENANT_ID], span.get(names.USAGE_FEATURE))
        for span in (dict(span.attributes or {}) for span in spans)
    ] == turn * 2


def test_async_functions_run_in_the_callers_context(recorder: Recorder, client: Any) -> None:
    async def call(aio: Any) -> None:
        async def ask_another() -> str:
            """Asks another model."""
            await aio.models.generate_content(model="gemini-2.5-pro", contents="And you?")
            return "asked"

        config = types.GenerateContentConfig(tools=[ask_another])

        async def ask(tenant: str) -> None:
            with usage(tenant_id=tenant):
                await aio.models.generate_content(**ASK, config=config)

        await asyncio.gather(*(ask(f"tenant {number}") for number in range(5)))

    run(client, call)
    by_tenant: dict[object, list[object]] = {}
    for span in recorder.metered:
        by_tenant.setdefault(span[names.TENANT_ID], []).append(span[names.REQUEST_MODEL])
    assert by_tenant == {
        f"tenant {number}": [MODEL, "gemini-2.5-pro", MODEL] for number in range(5)
    }


# Streams are begun only when they are first read.


def _read_here(stream: Any) -> None:
    deque(stream)


def _read_in_a_thread(stream: Any) -> None:
    thread = threading.Thread(target=deque, args=(stream,))
    thread.start()
    thread.join()


@pytest.mark.parametrize("read", [_read_here, _read_in_a_thread], ids=["here", "thread"])
def test_a_stream_belongs_to_whoever_asked_for_it(
    recorder: Recorder, client: Any, read: Callable[[Any], None]
) -> None:
    with usage(tenant_id="acme"):
        stream = client.models.generate_content_stream(**ASK)
    read(stream)
    assert recorder.only()[names.TENANT_ID] == "acme"


def test_a_stream_that_nobody_asked_for_belongs_to_whoever_reads_it(
    recorder: Recorder, client: Any
) -> None:
    stream = client.models.generate_content_stream(**ASK)
    with usage(tenant_id="acme"):
        deque(stream)
    assert recorder.only()[names.TENANT_ID] == "acme"


def test_reading_a_stream_leaves_the_readers_context_alone(client: Any) -> None:
    with usage(tenant_id="acme"):
        stream = client.models.generate_content_stream(**ASK)
    for _ in stream:
        from spanmeter.instrumentation import current_usage

        assert current_usage() is None


def test_an_async_stream_belongs_to_whoever_asked_for_it(recorder: Recorder, client: Any) -> None:
    async def call(aio: Any) -> None:
        with usage(tenant_id="acme"):
            stream = await aio.models.generate_content_stream(**ASK)
        await drained(stream)

    run(client, call)
    assert recorder.only()[names.TENANT_ID] == "acme"


# Attempts and ends.

Outcome = tuple[object, object, object]


def outcomes(recorder: Recorder) -> list[Outcome]:
    """Of each attempt: its number, the type of its error, the status it was answered with."""

    def outcome(span: Attributes) -> Outcome:
        status = span.get(names.HTTP_RESPONSE_STATUS_CODE)
        return span[names.USAGE_ATTEMPT], span.get(names.ERROR_TYPE), status

    return [outcome(span) for span in recorder.metered]


@pytest.mark.parametrize("form", ["plain", "stream"])
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_every_attempt_is_a_span(
    recorder: Recorder,
    provider: SimulatedProvider,
    client: Any,
    form: str,
    is_async: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    provider.enqueue(LIMITED, OVERLOADED, Reply())
    if is_async:
        run(client, ASYNC_FORMS[form])
    else:
        FORMS[form](client)
    assert outcomes(recorder) == [(1, "429", 429), (2, "503", 503), (3, None, None)]
    check_usage(recorder.metered[-1], provider.served[-1])


def test_a_refused_request_is_one_attempt(recorder: Recorder, client: Any) -> None:
    with pytest.raises(errors.ClientError):
        client.models.generate_content(model="no-such-model", contents="How did we do?")
    assert outcomes(recorder) == [(1, "404", 404)]


@pytest.mark.parametrize("backend", ["httpx2", "aiohttp"])
def test_a_timeout_is_one(recorder: Recorder, provider: SimulatedProvider, backend: str) -> None:
    provider.enqueue(Reply(hang=True))
    # In milliseconds.
    client = client_of(provider, timeout=200)
    # The SDK tries again where httpx has timed out.
    with suppress(TimeoutError):
        run(client, ASYNC_FORMS["plain"]) if backend == "aiohttp" else FORMS["plain"](client)
    assert outcomes(recorder)[0] == (1, names.TIMEOUT, None)


def test_an_error_in_the_middle_of_a_stream_is_named(
    recorder: Recorder, provider: SimulatedProvider, client: Any
) -> None:
    provider.enqueue(Reply(error_after=2))
    with pytest.raises(errors.ServerError):
        FORMS["stream"](client)
    # The exception holds the response.
    gc.collect()
    check_cut(recorder, provider, "UNAVAILABLE")


def check_cut(recorder: Recorder, provider: SimulatedProvider, error_type: str) -> None:
    """What the provider had counted before the cut is on the span, and is said not to be all."""
    span = recorder.only()
    served = provider.wait_for_served(1)[0]
    assert span[names.ERROR_TYPE] == error_type
    assert span[names.USAGE_SOURCE] == names.SOURCE_ESTIMATE
    assert span[names.INPUT_TOKENS] == served.tokens.input
    assert span[names.REASONING_OUTPUT_TOKENS] == served.tokens.reasoning
    output = span[names.OUTPUT_TOKENS]
    assert isinstance(output, int)
    assert served.tokens.reasoning < output < served.tokens.output
    assert span[names.RESPONSE_ID] == served.response_id


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_a_lost_connection_ends_a_stream(
    recorder: Recorder,
    provider: SimulatedProvider,
    client: Any,
    is_async: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    provider.enqueue(Reply(abort_after=2))
    if is_async:
        with pytest.raises(Exception, match=r"not enough data|payload|TransferEncoding"):
            run(client, ASYNC_FORMS["stream"])
        check_cut(recorder, provider, "aiohttp.client_exceptions.ClientPayloadError")
    else:
        with pytest.raises(HTTP.RemoteProtocolError):
            FORMS["stream"](client)
        check_cut(recorder, provider, f"{HTTP.__name__}.RemoteProtocolError")


def _break(client: Any) -> None:
    for _ in client.models.generate_content_stream(**ASK):
        break


def _close(client: Any) -> None:
    stream = client.models.generate_content_stream(**ASK)
    next(stream)
    stream.close()


def _raise(client: Any) -> None:
    def read() -> None:
        for _ in client.models.generate_content_stream(**ASK):
            raise LookupError

    with pytest.raises(LookupError):
        read()


@pytest.mark.parametrize("leave", [_break, _close, _raise], ids=["break", "close", "raise"])
@pytest.mark.parametrize("tenant", [None, "acme"])
def test_every_way_out_of_a_stream_ends_it(
    recorder: Recorder,
    provider: SimulatedProvider,
    client: Any,
    leave: Form,
    tenant: str | None,
) -> None:
    provider.enqueue(SLOW)
    if tenant is None:
        leave(client)
    else:
        with usage(tenant_id=tenant):
            leave(client)
    gc.collect()
    check_cut(recorder, provider, names.CANCELLED)


async def _break_async(aio: Any) -> None:
    async for _ in await aio.models.generate_content_stream(**ASK):
        break


async def _close_async(aio: Any) -> None:
    stream = await aio.models.generate_content_stream(**ASK)
    await anext(stream)
    await stream.aclose()


async def _cancel_async(aio: Any) -> None:
    task = asyncio.create_task(_stream_async(aio))
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize(
    "leave", [_break_async, _close_async, _cancel_async], ids=["break", "close", "cancel"]
)
@pytest.mark.parametrize("has_aiohttp", [True, False], ids=["aiohttp", "httpx2"])
def test_every_way_out_of_an_async_stream_ends_it(
    recorder: Recorder,
    provider: SimulatedProvider,
    monkeypatch: pytest.MonkeyPatch,
    leave: AsyncForm,
    has_aiohttp: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    monkeypatch.setattr("google.genai._api_client.has_aiohttp", has_aiohttp)
    provider.enqueue(SLOW)

    async def call(aio: Any) -> None:
        await leave(aio)
        # The event loop closes what was let go.
        gc.collect()
        await asyncio.sleep(0.05)

    run(client_of(provider), call)
    check_cut(recorder, provider, names.CANCELLED)


def test_a_stream_left_after_its_last_chunk_is_finished(
    recorder: Recorder, provider: SimulatedProvider, client: Any
) -> None:
    for chunk in client.models.generate_content_stream(**ASK):
        if chunk.candidates[0].finish_reason:
            break
    gc.collect()
    check_usage(recorder.only(), provider.served[0])


def test_without_usage_tokens_are_estimated(
    recorder: Recorder, provider: SimulatedProvider, client: Any
) -> None:
    provider.enqueue(Reply(text="We did well.", without_usage=True))
    client.models.generate_content(**ASK)
    span = recorder.only()
    assert span[names.USAGE_SOURCE] == names.SOURCE_ESTIMATE
    assert span[names.INPUT_TOKENS] == 4
    assert span[names.OUTPUT_TOKENS] == 3


# What is not text.


def test_embeddings_count_their_input(
    recorder: Recorder, provider: SimulatedProvider, client: Any
) -> None:
    client.models.embed_content(model="gemini-embedding-001", contents=["one two", "three"])
    span = recorder.only()
    assert span[names.OPERATION_NAME] == names.EMBEDDINGS
    assert span[names.INPUT_TOKENS] == provider.served[0].tokens.input == 3
    assert names.OUTPUT_TOKENS not in span
    check_raw_usage(span, provider.served[0])


def test_embeddings_without_usage_are_estimated(
    recorder: Recorder, provider: SimulatedProvider, client: Any
) -> None:
    provider.enqueue(Reply(without_usage=True))
    client.models.embed_content(model="gemini-embedding-001", contents=["one two", "three"])
    span = recorder.only()
    assert span[names.USAGE_SOURCE] == names.SOURCE_ESTIMATE
    # Twelve bytes, of which four make a token.
    assert span[names.INPUT_TOKENS] == 3


def test_embeddings_of_vertex_ai_have_statistics(
    recorder: Recorder, provider: SimulatedProvider, vertex: Any
) -> None:
    vertex.models.embed_content(model="text-embedding-005", contents=["one two", "three"])
    span = recorder.only()
    assert span[names.INPUT_TOKENS] == provider.served[0].tokens.input == 3
    assert span[names.quantity("input_characters")] == 11
    check_raw_usage(span, provider.served[0])


@pytest.mark.filterwarnings("ignore:The generate_images method is deprecated")
def test_pictures_are_counted_as_they_are_made(recorder: Recorder, vertex: Any) -> None:
    config = types.GenerateImagesConfig(number_of_images=3)
    vertex.models.generate_images(model="imagen-4.0-generate-001", prompt="Us", config=config)
    span = recorder.only()
    assert span[names.OPERATION_NAME] == names.IMAGE_GENERATION
    assert span[names.quantity("images")] == 3
    assert span[names.USAGE_SOURCE] == names.SOURCE_PROVIDER


def test_videos_are_counted_as_they_are_asked_for(
    recorder: Recorder, provider: SimulatedProvider, vertex: Any
) -> None:
    config = types.GenerateVideosConfig(number_of_videos=2, duration_seconds=8)
    source = types.GenerateVideosSource(prompt="Us")
    ask: dict[str, Any] = {"model": "veo-3.1-generate-001", "source": source, "config": config}
    provider.enqueue(Reply(status=400))
    with pytest.raises(errors.ClientError):
        vertex.models.generate_videos(**ask)
    vertex.models.generate_videos(**ask)
    refused, taken = recorder.metered
    assert names.quantity("videos") not in refused
    assert taken[names.quantity("videos")] == 2
    assert taken[names.quantity("video_seconds")] == 16


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/v1beta/models/gemini-2.5-pro:generateContent", "gemini-2.5-pro"),
        ("/v1beta/tunedModels/ours-1:generateContent", "tunedModels/ours-1"),
        ("/v1/projects/p/locations/l/endpoints/42:generateContent", "endpoints/42"),
        ("/v1/projects/p/locations/l/publishers/google/models/g:streamGenerateContent", "g"),
    ],
)
def test_the_model_is_in_the_path(path: str, model: str) -> None:
    found = endpoint_of(path, {})
    assert found is not None
    assert found[1] == model


@pytest.mark.parametrize(
    "path", ["/v1beta/models/g:countTokens", "/v1beta/files", "/v1beta/models/g:computeTokens"]
)
def test_what_uses_no_model_is_not_metered(path: str) -> None:
    assert endpoint_of(path, {}) is None


def test_content_put_into_the_cache_is_read_once() -> None:
    found = endpoint_of("/v1beta/cachedContents", {"model": "models/gemini-2.5-pro"})
    assert found is not None
    endpoint, model = found
    assert model == "gemini-2.5-pro"
    body = {"name": "cachedContents/1", "usageMetadata": {"totalTokenCount": 5000}}
    assert endpoint.attributes(endpoint.read(body).usage or {}) == {
        names.INPUT_TOKENS: 5000,
        names.CACHE_WRITE_INPUT_TOKENS: 5000,
    }


def test_output_of_live_sessions_has_another_name() -> None:
    assert generated_attributes({"promptTokenCount": 3, "responseTokenCount": 4}) == {
        names.INPUT_TOKENS: 3,
        names.OUTPUT_TOKENS: 4,
    }


def test_nothing_of_ours_and_no_text_leaves(
    recorder: Recorder, provider: SimulatedProvider, client: Any
) -> None:
    with usage(tenant_id="secret-tenant"):
        FORMS["stream"](client)
        run(client, ASYNC_FORMS["stream"])
    assert all(b"secret-tenant" not in request.raw for request in provider.requests)
    assert "How did we do" not in json.dumps([dict(span) for span in recorder.metered])
