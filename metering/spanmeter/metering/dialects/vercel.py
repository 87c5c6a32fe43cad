"""Vercel's AI SDK: `ai.*` names up to version 6, and in 7 also GenAI's, under a scope of another name.

Source: ai 5.0.277 and 6.0.326 (`dist/index.mjs`), @ai-sdk/otel 1.0.173 (`open-telemetry.ts`,
`legacy-open-telemetry.ts`). Only what begins with `do` asks a provider. Version 5 passes on what
Anthropic and Bedrock count beside their caches, and Gemini beside its thoughts; later ones add it
up and tell the parts.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from spanmeter.metering import attributes as names
from spanmeter.metering.dialects.dialect import Case, Counting, Dialect
from spanmeter.metering.dialects.opentelemetry import OPENTELEMETRY

PROVIDERS: Final[Mapping[str, str]] = {
    "amazon-bedrock": "aws.bedrock",
    "azure": "azure.ai.openai",
    "azure-openai": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "google": "gcp.gemini",
    "google-vertex": "gcp.vertex_ai",
    "google.vertex": "gcp.vertex_ai",
    "openai": "openai",
    "anthropic": "anthropic",
    "cohere": "cohere",
    "deepseek": "deepseek",
    "deepinfra": "deepinfra",
    "fireworks": "fireworks",
    "groq": "groq",
    "mistral": "mistral_ai",
    "openrouter": "openrouter",
    "perplexity": "perplexity",
    "togetherai": "together",
    "vertex": "gcp.vertex_ai",
    "xai": "x_ai",
}
"""What `createOpenAI` and its like call themselves, before the API: `openai.chat`, `google.vertex.chat`."""

OWN_ID: Final = r"ai[a-z]{3,4}-[0-9A-Za-z]+"
"""What it calls a response that has no id, or whose id it does not look for."""

METADATA: Final = "ai.response.providerMetadata/"
ANTHROPIC: Final = METADATA + "anthropic/usage/"
GOOGLE: Final = METADATA + "google/usageMetadata/"
DETAILS: Final = "ai.usage.inputTokenDetails."

VERCEL = Dialect(
    name="vercel",
    scopes=("ai",),
    operation=("ai.operationId",),
    calls={
        "ai.generateText.doGenerate": names.CHAT,
        "ai.streamText.doStream": names.CHAT,
        "ai.generateObject.doGenerate": names.CHAT,
        "ai.streamObject.doStream": names.CHAT,
        "ai.embed.doEmbed": names.EMBEDDINGS,
        "ai.embedMany.doEmbed": names.EMBEDDINGS,
        "ai.rerank.doRerank": names.RERANK,
        # These have no span inside.
        "ai.generateImage": names.IMAGE_GENERATION,
        "ai.generateSpeech": names.SPEECH,
        "ai.transcribe": names.TRANSCRIPTION,
        "ai.streamTranscribe": names.TRANSCRIPTION,
    },
    places={
        names.PROVIDER_NAME: ("ai.model.provider", "gen_ai.system"),
        names.REQUEST_MODEL: ("ai.model.id", names.REQUEST_MODEL),
        names.RESPONSE_MODEL: ("ai.response.model", names.RESPONSE_MODEL),
        names.RESPONSE_ID: ("ai.response.id", names.RESPONSE_ID),
        names.USAGE_SERVICE_TIER: (
            names.USAGE_SERVICE_TIER,
            METADATA + "openai/serviceTier",
            ANTHROPIC + "service_tier",
        ),
        names.INPUT_TOKENS: (
            "ai.usage.inputTokens",
            "ai.usage.promptTokens",
            "ai.usage.tokens",
            names.INPUT_TOKENS,
        ),
        names.OUTPUT_TOKENS: (
            "ai.usage.outputTokens",
            "ai.usage.completionTokens",
            names.OUTPUT_TOKENS,
        ),
        names.CACHE_READ_INPUT_TOKENS: (
            DETAILS + "cacheReadTokens",
            "ai.usage.cachedInputTokens",
            ANTHROPIC + "cache_read_input_tokens",
            METADATA + "openai/cachedPromptTokens",
            METADATA + "anthropic/cacheReadInputTokens",
            METADATA + "bedrock/usage/cacheReadInputTokens",
            GOOGLE + "cachedContentTokenCount",
        ),
        names.CACHE_WRITE_INPUT_TOKENS: (
            DETAILS + "cacheWriteTokens",
            ANTHROPIC + "cache_creation_input_tokens",
            METADATA + "anthropic/cacheCreationInputTokens",
            METADATA + "bedrock/usage/cacheWriteInputTokens",
        ),
        names.cache_write("5m"): (ANTHROPIC + "cache_creation/ephemeral_5m_input_tokens",),
        names.cache_write("1h"): (ANTHROPIC + "cache_creation/ephemeral_1h_input_tokens",),
        names.REASONING_OUTPUT_TOKENS: (
            "ai.usage.outputTokenDetails.reasoningTokens",
            "ai.usage.reasoningTokens",
            METADATA + "openai/reasoningTokens",
            GOOGLE + "thoughtsTokenCount",
        ),
    },
    first_token_milliseconds=("ai.response.msToFirstChunk",),
    counting=(
        (Case(having=DETAILS + "noCacheTokens"), Counting()),
        (Case(provider="anthropic"), Counting(input="beside_cache")),
        (Case(provider="aws.bedrock"), Counting(input="beside_cache")),
        (Case(provider="gcp"), Counting(output="beside_reasoning")),
    ),
    providers=PROVIDERS,
    own_id=OWN_ID,
)

VERCEL_GENAI = replace(
    OPENTELEMETRY,
    name="vercel",
    scopes=("gen_ai",),
    places={
        **OPENTELEMETRY.places,
        names.TIME_TO_FIRST_CHUNK: (
            names.TIME_TO_FIRST_CHUNK,
            "gen_ai.client.operation.time_to_first_chunk",
        ),
    },
    # `embed` and each request that it makes have one name; only the latter has counts.
    outside=tuple(
        Case(saying={names.OPERATION_NAME: operation})
        for operation in (names.EMBEDDINGS, names.RERANK)
    ),
    providers=PROVIDERS,
    own_id=OWN_ID,
)
