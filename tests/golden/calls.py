"""The calls that emitters are watched making, a function for each client library.

Runs in the emitters' environments: it imports each client only when it is called.
"""

from __future__ import annotations

import json
from collections import deque
from importlib import import_module
from typing import Any

LONG = "What did we say of it at the end of the year? " * 300
ASK = [{"role": "user", "content": "How did we do?"}]
CACHED = [{"type": "text", "text": LONG, "cache_control": {"type": "ephemeral"}}]
CLAUDE = "claude-haiku-4-5"
CLAUDE_ON_BEDROCK = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
LLAMA = "meta.llama3-3-70b-instruct-v1:0"


def openai(url: str) -> None:
    """Six: a cached prompt is written and read, reasoning, a stream of it, a response, embeddings."""
    client: Any = import_module("openai").OpenAI(base_url=f"{url}/v1", api_key="any")
    create = client.chat.completions.create
    for _ in range(2):
        create(model="gpt-4o-mini", messages=[{"role": "user", "content": LONG}])
    create(model="o4-mini", messages=ASK)
    usage = {"include_usage": True}
    deque(create(model="o4-mini", messages=ASK, stream=True, stream_options=usage))
    client.responses.create(model="gpt-5", input="How did we do?")
    client.embeddings.create(model="text-embedding-3-small", input="How did we do?")


def openai_stream_without_usage(url: str) -> None:
    """One, whose usage nobody asked for."""
    client: Any = import_module("openai").OpenAI(base_url=f"{url}/v1", api_key="any")
    deque(client.chat.completions.create(model="o4-mini", messages=ASK, stream=True))


def anthropic(url: str) -> None:
    """Three: a cached prompt is written, read, and read by a stream."""
    client: Any = import_module("anthropic").Anthropic(base_url=url, api_key="any")
    asked: Any = {"model": CLAUDE, "max_tokens": 60, "system": CACHED, "messages": ASK}
    for _ in range(2):
        client.messages.create(**asked)
    deque(client.messages.create(**asked, stream=True))


def bedrock(url: str) -> None:
    """Six: Converse as above, Anthropic's own body twice, and Llama's."""
    client: Any = import_module("boto3").client(
        "bedrock-runtime",
        endpoint_url=url,
        region_name="eu-west-1",
        aws_access_key_id="any",
        aws_secret_access_key="any",
    )
    asked: Any = {
        "modelId": CLAUDE_ON_BEDROCK,
        "system": [{"text": LONG}, {"cachePoint": {"type": "default"}}],
        "messages": [{"role": "user", "content": [{"text": "How did we do?"}]}],
    }
    for _ in range(2):
        client.converse(**asked)
    for _ in client.converse_stream(**asked)["stream"]:
        pass
    version = "bedrock-2023-05-31"
    body = {"anthropic_version": version, "max_tokens": 60, "messages": ASK, "system": CACHED}
    for _ in range(2):
        client.invoke_model(modelId=CLAUDE_ON_BEDROCK, body=json.dumps(body))["body"].read()
    prompt = json.dumps({"prompt": "How did we do?"})
    client.invoke_model(modelId=LLAMA, body=prompt)["body"].read()


def google(url: str) -> None:
    """Three: a cached prompt is written and read, with thoughts, and a stream."""
    genai: Any = import_module("google.genai")
    client = genai.Client(api_key="any", http_options=genai.types.HttpOptions(base_url=url))
    for _ in range(2):
        client.models.generate_content(model="gemini-2.5-flash", contents=LONG)
    asked: Any = {"model": "gemini-2.5-flash", "contents": "How did we do?"}
    deque(client.models.generate_content_stream(**asked))


def mistral(url: str) -> None:
    """Two: a chat and embeddings."""
    client: Any = import_module("mistralai.client").Mistral(
        api_key="any", server_url=f"{url}/mistral"
    )
    client.chat.complete(model="mistral-small-latest", messages=ASK)
    client.embeddings.create(model="mistral-embed", inputs=["How did we do?"])


def pydantic_ai(url: str) -> None:
    """Four, of two agents: with reasoning, and with a cached prompt."""
    agent: Any = import_module("pydantic_ai").Agent
    models: Any = import_module("pydantic_ai.models.openai")
    provider: Any = import_module("pydantic_ai.providers.openai").OpenAIProvider
    anthropic_model: Any = import_module("pydantic_ai.models.anthropic").AnthropicModel
    anthropic_provider: Any = import_module("pydantic_ai.providers.anthropic").AnthropicProvider
    told = {"tenant_id": "acme"}
    reasoning = models.OpenAIChatModel(
        "o4-mini", provider=provider(base_url=f"{url}/v1", api_key="any")
    )
    agent(reasoning, metadata=told).run_sync("How did we do?")
    agent(reasoning, metadata=told).run_sync(LONG)
    claude = anthropic_model(CLAUDE, provider=anthropic_provider(base_url=url, api_key="any"))
    caching: Any = {"anthropic_cache_instructions": True}
    for _ in range(2):
        run = agent(claude, instructions=LONG, model_settings=caching, metadata=told)
        run.run_sync("How did we do?")


def litellm(url: str) -> None:
    """Six: two of OpenAI's, a stream, two of Anthropic's, embeddings."""
    library: Any = import_module("litellm")

    def at(base: str) -> Any:
        # The library keeps things of its own in the metadata that it is given.
        return {"api_base": base, "api_key": "any", "metadata": {"tenant_id": "acme"}}

    long = [{"role": "user", "content": LONG}]
    for _ in range(2):
        library.completion(model="openai/gpt-4o-mini", messages=long, **at(f"{url}/v1"))
    streamed: Any = {"stream": True, "stream_options": {"include_usage": True}}
    deque(library.completion(model="openai/o4-mini", messages=ASK, **streamed, **at(f"{url}/v1")))
    told = [{"role": "system", "content": CACHED}, *ASK]
    for _ in range(2):
        library.completion(model=f"anthropic/{CLAUDE}", messages=told, **at(url))
    embedded: Any = {"model": "openai/text-embedding-3-small", "input": ["How did we do?"]}
    library.embedding(**embedded, **at(f"{url}/v1"))
