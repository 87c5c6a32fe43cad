"""litellm: what it sends, by itself or by another SDK, is one record of the provider's own counts.

Its newest releases need an older openai than the rest of the tests: `make test-matrix` runs these
in an environment of their own.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from typing import Any

import pytest

from simulated_provider import Reply, SimulatedProvider
from spanmeter.instrumentation import MissingTenant, usage
from spanmeter.metering import attributes as names
from unit.instrumentation.recording import Attributes, Recorder

# An import of litellm takes seconds, and its own dependencies warn of each other.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),
    pytest.mark.usefixtures("nothing_declared"),
]

# What it counts itself it would download tokenizers for.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
litellm: Any = pytest.importorskip("litellm")

ASK = [{"role": "user", "content": "How did we do?"}]
AWS = {"aws_access_key_id": "any", "aws_secret_access_key": "any", "aws_region_name": "us-east-1"}
HAIKU = "us.anthropic.claude-haiku-4-5-20251001-v1:0"


@pytest.fixture(scope="module")
def runner() -> Generator[asyncio.Runner]:
    """One event loop for all, since litellm keeps its clients for the next call, and those for async
    calls by their loop; it asks for the current one too, and would make and leave open its own."""
    with asyncio.Runner() as runner:
        runner.get_loop()
        yield runner
        runner.run(litellm.close_litellm_async_clients())
    clients = litellm.in_memory_llm_clients_cache
    for client in (*clients.cache_dict.values(), litellm.module_level_client):
        if not inspect.iscoroutinefunction(client.close):
            client.close()
    # Fallbacks of a sync call run in a loop of litellm's own, which it ends without closing their
    # connections: collected here, where its warnings are no errors.
    clients.flush_cache()
    gc.collect()


@pytest.fixture(autouse=True)
def event_loop(runner: asyncio.Runner) -> None:
    """The loop is the current one of sync calls as well."""
    asyncio.set_event_loop(runner.get_loop())


# A provider, litellm's name of a model of it, and where the simulated one has it.
Service = tuple[str, str, str]

SERVICES: Mapping[str, Service] = {
    "openai": ("openai_compatible", "openai/gpt-4o-mini", "/v1"),
    "azure": ("azure.ai.openai", "azure/gpt-4o-mini", ""),
    "anthropic": ("anthropic", "anthropic/claude-haiku-4-5", ""),
    "gemini": ("gcp.gemini", "gemini/gemini-2.5-flash", "/v1beta"),
    "groq": ("groq", "groq/llama-3.3-70b-versatile", "/groq/openai/v1"),
    "mistral": ("mistral_ai", "mistral/mistral-small-latest", "/mistral/v1"),
    "openrouter": ("openrouter", "openrouter/gpt-4o-mini", "/v1"),
    "deepseek": ("deepseek", "deepseek/gpt-4o-mini", "/v1"),
    "xai": ("x_ai", "xai/gpt-4o-mini", "/v1"),
    "ollama": ("ollama", "ollama_chat/llama3.2", ""),
    "ollama, generating": ("ollama", "ollama/llama3.2", ""),
    "bedrock, converse": ("aws.bedrock", f"bedrock/converse/{HAIKU}", ""),
    "bedrock, invoke": ("aws.bedrock", f"bedrock/invoke/{HAIKU}", ""),
}


def of(service: Service, provider: SimulatedProvider) -> dict[str, Any]:
    """The arguments of a call of a service."""
    whose, model, path = service
    asked: dict[str, Any] = {"model": model, "messages": ASK, "max_retries": 0}
    if whose == "aws.bedrock":
        return {**asked, **AWS, "aws_bedrock_runtime_endpoint": provider.url}
    if whose == "azure.ai.openai":
        asked["api_version"] = "2024-10-21"
    return {**asked, "api_base": provider.url + path, "api_key": "any"}


def check(recorder: Recorder, provider: SimulatedProvider, whose: str) -> Attributes:
    span, [served] = recorder.only(), provider.served
    assert span[names.PROVIDER_NAME] == whose
    assert span[names.INPUT_TOKENS] == served.tokens.input
    assert span.get(names.OUTPUT_TOKENS, 0) == served.tokens.output
    assert span[names.USAGE_SOURCE] == names.SOURCE_PROVIDER
    assert names.ERROR_TYPE not in span
    return span


each_service = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)


@each_service
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_completion_is_one_record(
    recorder: Recorder, provider: SimulatedProvider, service: Service, *, stream: bool
) -> None:
    with usage(tenant_id="acme"):
        answer = litellm.completion(**of(service, provider), stream=stream)
        if stream:
            list(answer)
    span = check(recorder, provider, service[0])
    assert span[names.TENANT_ID] == "acme"
    assert span.get(names.REQUEST_STREAM, False) is stream
    assert b"acme" not in provider.requests[0].raw


@each_service
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_an_async_completion_is_one_record(
    recorder: Recorder,
    provider: SimulatedProvider,
    runner: asyncio.Runner,
    service: Service,
    *,
    stream: bool,
) -> None:
    async def call() -> None:
        with usage(tenant_id="acme"):
            answer = await litellm.acompletion(**of(service, provider), stream=stream)
            if stream:
                async for _ in answer:
                    pass

    runner.run(call())
    assert check(recorder, provider, service[0])[names.TENANT_ID] == "acme"


@pytest.mark.parametrize("name", ["anthropic", "gemini"])
def test_a_stream_is_of_whoever_asked_for_it(
    recorder: Recorder, provider: SimulatedProvider, name: str
) -> None:
    """litellm sends some requests only when their stream is first read."""
    with usage(tenant_id="acme"):
        stream = litellm.completion(**of(SERVICES[name], provider), stream=True)
    with usage(tenant_id="globex"):
        list(stream)
    assert check(recorder, provider, SERVICES[name][0])[names.TENANT_ID] == "acme"


def test_an_async_stream_is_of_whoever_asked_for_it(
    recorder: Recorder, provider: SimulatedProvider, runner: asyncio.Runner
) -> None:
    async def call() -> None:
        with usage(tenant_id="acme"):
            stream = await litellm.acompletion(**of(SERVICES["gemini"], provider), stream=True)
        with usage(tenant_id="globex"):
            async for _ in stream:
                pass

    runner.run(call())
    assert check(recorder, provider, "gcp.gemini")[names.TENANT_ID] == "acme"


def _embed(model: str, path: str, **further: Any) -> Callable[[str], Any]:
    def embed(url: str) -> None:
        bases = {"aws_bedrock_runtime_endpoint": url} if further else {"api_base": url + path}
        litellm.embedding(model=model, input=["How did we do?"], api_key="any", **bases, **further)

    return embed


async def _messages(url: str) -> None:
    await litellm.anthropic_messages(
        model="anthropic/claude-haiku-4-5",
        max_tokens=50,
        messages=ASK,
        api_key="any",
        api_base=url,
    )


OTHERS: Mapping[str, tuple[str, str, Callable[[str], Any]]] = {
    "openai embeddings": (
        "openai_compatible",
        names.EMBEDDINGS,
        _embed("openai/text-embedding-3-small", "/v1"),
    ),
    "gemini embeddings": (
        "gcp.gemini",
        names.EMBEDDINGS,
        _embed("gemini/gemini-embedding-001", "/v1beta"),
    ),
    "ollama embeddings": ("ollama", names.EMBEDDINGS, _embed("ollama/nomic-embed-text", "")),
    "bedrock embeddings": (
        "aws.bedrock",
        names.EMBEDDINGS,
        _embed("bedrock/amazon.titan-embed-text-v2:0", "", **AWS),
    ),
    "openai images": (
        "openai_compatible",
        names.IMAGE_GENERATION,
        lambda url: litellm.image_generation(
            model="openai/gpt-image-1", prompt="A lighthouse", api_key="any", api_base=url + "/v1"
        ),
    ),
    "anthropic messages": ("anthropic", names.CHAT, _messages),
    "together reranking": (
        "openai_compatible",
        names.RERANK,
        lambda url: litellm.rerank(
            model="together_ai/Salesforce/Llama-Rank-v1",
            query="sales",
            documents=["Costs rose", "Sales fell"],
            api_key="any",
            api_base=url + "/together/v1",
        ),
    ),
}


@pytest.mark.parametrize(("whose", "operation", "ask"), OTHERS.values(), ids=OTHERS)
def test_other_than_chat(
    recorder: Recorder,
    provider: SimulatedProvider,
    whose: str,
    operation: str,
    ask: Callable[[str], Any],
    runner: asyncio.Runner,
) -> None:
    asking = ask(provider.url)
    if inspect.iscoroutine(asking):
        runner.run(asking)
    assert check(recorder, provider, whose)[names.OPERATION_NAME] == operation


def test_reranking_by_the_search(recorder: Recorder, provider: SimulatedProvider) -> None:
    litellm.rerank(
        model="cohere/rerank-v3.5",
        query="sales",
        documents=["Costs rose"],
        api_key="any",
        api_base=provider.url,
    )
    span = recorder.only()
    assert span[names.PROVIDER_NAME] == "cohere"
    assert span[names.quantity("rerank_searches")] == 1


def test_each_retry_and_each_fallback_is_a_record(
    recorder: Recorder, provider: SimulatedProvider
) -> None:
    provider.enqueue(Reply(status=500), Reply(status=529))
    groq = of(SERVICES["groq"], provider)
    litellm.completion(**of(SERVICES["anthropic"], provider), num_retries=1, fallbacks=[groq])
    outcomes = [
        (span[names.PROVIDER_NAME], span.get(names.ERROR_TYPE)) for span in recorder.metered
    ]
    assert outcomes[0] == ("anthropic", "500")
    assert len(outcomes) == len(provider.served)
    assert outcomes[-1][1] is None
    assert recorder.metered[-1][names.OUTPUT_TOKENS] == provider.served[-1].tokens.output


def test_each_attempt_of_a_router_is_a_record(
    recorder: Recorder, provider: SimulatedProvider
) -> None:
    router = litellm.Router(
        model_list=[
            {"model_name": name, "litellm_params": _parameters(SERVICES[name], provider)}
            for name in ("anthropic", "groq")
        ],
        fallbacks=[{"anthropic": ["groq"]}],
        num_retries=0,
    )
    provider.enqueue(Reply(status=500))
    router.completion(model="anthropic", messages=ASK)
    first, second = recorder.metered
    assert (first[names.PROVIDER_NAME], first[names.ERROR_TYPE]) == ("anthropic", "500")
    assert second[names.PROVIDER_NAME] == "groq"
    assert second[names.OUTPUT_TOKENS] == provider.served[1].tokens.output


def _parameters(service: Service, provider: SimulatedProvider) -> dict[str, Any]:
    return {key: value for key, value in of(service, provider).items() if key != "messages"}


def test_a_stream_that_is_cut_off_is_an_error_with_an_estimate(
    recorder: Recorder, provider: SimulatedProvider
) -> None:
    provider.enqueue(Reply(text="x" * 400, chunks=50, abort_after=10))
    with pytest.raises(Exception, match="peer closed connection"):
        list(litellm.completion(**of(SERVICES["groq"], provider), stream=True))
    span = recorder.only()
    assert span[names.ERROR_TYPE] == "httpx.RemoteProtocolError"
    assert span[names.OUTPUT_TOKENS] == 20
    assert span[names.USAGE_SOURCE] == names.SOURCE_ESTIMATE


def test_an_async_stream_that_is_given_up_is_cancelled(
    recorder: Recorder, provider: SimulatedProvider, runner: asyncio.Runner
) -> None:
    provider.enqueue(Reply(chunks=50, chunk_delay=0.005))

    async def call() -> None:
        stream = await litellm.acompletion(**of(SERVICES["groq"], provider), stream=True)
        await anext(stream)
        await stream.aclose()

    runner.run(call())
    assert recorder.only()[names.ERROR_TYPE] == names.CANCELLED


def test_usage_that_litellm_has_not_asked_for_is_kept_from_it(
    recorder: Recorder, provider: SimulatedProvider
) -> None:
    plain = list(litellm.completion(**of(SERVICES["deepseek"], provider), stream=True))
    assert provider.requests[0].json()["stream_options"] == {"include_usage": True}
    assert all(getattr(chunk, "usage", None) is None for chunk in plain)
    check(recorder, provider, "deepseek")


def test_the_requests_of_others_are_none_of_ours(
    recorder: Recorder, provider: SimulatedProvider
) -> None:
    """litellm's callbacks post to services of all kinds by the same handler."""
    handler = litellm.llms.custom_httpx.http_handler.HTTPHandler()
    with closing(handler), pytest.raises(Exception, match="404"):
        handler.post(provider.url + "/api/public/ingestion", json={"batch": []})
    assert recorder.metered == []


@pytest.mark.parametrize("service", [SERVICES["anthropic"], SERVICES["openai"]])
@pytest.mark.usefixtures("recorder")
def test_a_call_without_a_tenant_is_refused_as_such(
    provider: SimulatedProvider, monkeypatch: pytest.MonkeyPatch, service: Service
) -> None:
    """And not as an error of litellm's, which it would try again."""
    monkeypatch.setenv("SPANMETER_MISSING_TENANT", "raise")
    with pytest.raises(MissingTenant):
        litellm.completion(**of(service, provider), num_retries=2)
    with pytest.raises(MissingTenant):
        asyncio.run(litellm.acompletion(**of(service, provider), stream=True))
    assert provider.requests == []
