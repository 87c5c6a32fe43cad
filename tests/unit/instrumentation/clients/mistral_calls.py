"""The forms of a Mistral call, in the SDK's sync and async versions."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from inspect import signature
from typing import Any

import pytest

from simulated_provider import Reply, Served, SimulatedProvider
from spanmeter.metering import attributes as names
from unit.instrumentation.clients.older_releases import method_of, module_of
from unit.instrumentation.recording import Attributes

Mistral: Any = module_of("mistralai.client.sdk", "mistralai.sdk").Mistral
MistralAzure: Any = module_of("mistralai.azure.client.sdk", "mistralai_azure.sdk").MistralAzure
_gcp: Any = module_of("mistralai.gcp.client.sdk", "mistralai_gcp.sdk")
MistralGCP: Any = getattr(_gcp, "MistralGCP", None) or _gcp.MistralGoogleCloud
# httpx2 since 3.0, and httpx before.
HTTP: Any = module_of("mistralai.client.httpclient", "mistralai.httpclient").httpx

Arguments = Mapping[str, Any]
ASK = [{"role": "user", "content": "How did we do?"}]
CHAT: Arguments = {"model": "mistral-small-latest", "messages": ASK}
AGENT: Arguments = {"agent_id": "ag_1", "messages": ASK}
CODE: Arguments = {"model": "codestral-latest", "prompt": "def total(", "suffix": "return sum"}
SEARCH: Arguments = {
    "model": "mistral-medium-latest",
    "inputs": "How did they do?",
    "tools": [{"type": "web_search"}],
}
CONTINUED: Arguments = {"conversation_id": "conv_1", "inputs": "And the year before?"}
RESTARTED: Arguments = {**CONTINUED, "from_entry_id": "msg_1"}
FOUR_SECONDS: Arguments = {
    "model": "voxtral-mini-latest",
    "file": {"content": b"RIFF" * 1000, "file_name": "speech.wav"},
}
DOCUMENT: Arguments = {
    "model": "mistral-ocr-latest",
    "document": {"type": "document_url", "document_url": "https://example.com/report.pdf"},
}
SLOW = Reply(chunks=50, chunk_delay=0.005)


@dataclass(frozen=True)
class Form:
    """A method of the SDK, which it has in a sync and an async version, and its arguments."""

    resource: Callable[[Any], Any]
    method: str
    arguments: Arguments
    operation: str = names.CHAT

    def call(self, client: Any) -> Any:
        return method_of(self.resource(client), self.method)(**self.arguments)

    async def call_async(self, client: Any) -> Any:
        method = method_of(self.resource(client), f"{self.method}_async")
        return await method(**self.arguments)


def chat(client: Any) -> Any:
    return client.chat


def agents(client: Any) -> Any:
    return client.agents


def fim(client: Any) -> Any:
    return client.fim


def conversations(client: Any) -> Any:
    return client.beta.conversations


def transcriptions(client: Any) -> Any:
    return client.audio.transcriptions


def classifiers(client: Any) -> Any:
    return client.classifiers


MODERATION: Arguments = {"model": "mistral-moderation-latest", "inputs": ["How rude"]}
WHOLE = {
    "chat": Form(chat, "complete", CHAT),
    "agents": Form(agents, "complete", AGENT),
    "fim": Form(fim, "complete", CODE, names.TEXT_COMPLETION),
    "embeddings": Form(
        lambda client: client.embeddings,
        "create",
        {"model": "mistral-embed", "inputs": ["How", "did we do?"]},
        names.EMBEDDINGS,
    ),
    "conversation": Form(conversations, "start", SEARCH),
    "conversation, continued": Form(conversations, "append", CONTINUED),
    "conversation, restarted": Form(conversations, "restart", RESTARTED),
    "transcription": Form(transcriptions, "complete", FOUR_SECONDS, names.TRANSCRIPTION),
    "moderation": Form(classifiers, "moderate", MODERATION, names.MODERATION),
    "classification": Form(
        classifiers,
        "classify",
        {**MODERATION, "model": "mistral-moderation-2411"},
        names.CLASSIFICATION,
    ),
}
STREAMED = {
    "chat": Form(chat, "stream", CHAT),
    "agents": Form(agents, "stream", AGENT),
    "fim": Form(fim, "stream", CODE, names.TEXT_COMPLETION),
    "conversation": Form(conversations, "start_stream", SEARCH),
    "conversation, continued": Form(conversations, "append_stream", CONTINUED),
    "conversation, restarted": Form(conversations, "restart_stream", RESTARTED),
    "transcription": Form(transcriptions, "stream", FOUR_SECONDS, names.TRANSCRIPTION),
}
each_whole = pytest.mark.parametrize("form", WHOLE.values(), ids=WHOLE)
each_streamed = pytest.mark.parametrize("form", STREAMED.values(), ids=STREAMED)


@contextmanager
def client_of(provider: SimulatedProvider, sdk: Any = Mistral, **options: Any) -> Generator[Any]:
    """A client of the SDK, which leaves those that it is given open."""
    # Reading the certificate authorities takes longer than the whole test.
    with HTTP.Client(verify=False) as http_client:
        url = options.pop("server_url", f"{provider.url}/mistral")
        known = signature(sdk).parameters
        given = {
            "api_key": "any",
            "server_url": url,
            # Azure's client, in 1.x
            "azure_api_key": "any",
            "azure_endpoint": url,
        }
        options.update({name: value for name, value in given.items() if name in known})
        async_client = HTTP.AsyncClient(verify=False)
        client = sdk(client=http_client, async_client=async_client, **options)
        if known.keys().isdisjoint({"server_url", "azure_endpoint"}):
            # Vertex AI's, in 1.x
            client.sdk_configuration.server_url = url
        yield client


@asynccontextmanager
async def async_client_of(provider: SimulatedProvider, **options: Any) -> AsyncGenerator[Any]:
    async with HTTP.AsyncClient(verify=False) as http_client:
        options = {"api_key": "any", "server_url": f"{provider.url}/mistral", **options}
        with HTTP.Client(verify=False) as unused:
            yield Mistral(client=unused, async_client=http_client, **options)


def check_usage(span: Attributes, served: Served, form: Form) -> None:
    """The span says of a complete answer what the provider has in its books."""
    tokens = served.tokens
    assert span[names.PROVIDER_NAME] == "mistral_ai"
    assert span[names.OPERATION_NAME] == form.operation
    assert span.get(names.REQUEST_MODEL) == form.arguments.get("model")
    assert span[names.INPUT_TOKENS] == tokens.input > 0
    assert span[names.OUTPUT_TOKENS] == tokens.output
    assert span.get(names.CACHE_READ_INPUT_TOKENS, 0) == tokens.cache_read
    assert span[names.USAGE_SOURCE] == names.SOURCE_PROVIDER
    assert span[names.RESPONSE_MODEL] == served.response_model
    assert names.ERROR_TYPE not in span
    if form.operation != names.TRANSCRIPTION:  # which has no id on the wire
        assert span[names.RESPONSE_ID] == served.response_id
