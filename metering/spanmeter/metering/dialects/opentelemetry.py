"""OpenTelemetry's GenAI conventions, as they stand and as they were.

Source: open-telemetry/semantic-conventions-genai, docs/gen-ai/client-inference.md, anthropic.md and
model/gen-ai/token-metrics.yaml; the attribute registry of semantic-conventions 1.27 to 1.37 for what
was renamed.
"""

from collections.abc import Mapping
from typing import Final

from spanmeter.metering import attributes as names
from spanmeter.metering.dialects.dialect import Dialect

CALLS: Final[Mapping[str, str]] = {
    operation: operation
    for operation in (
        names.CHAT,
        names.GENERATE_CONTENT,
        names.TEXT_COMPLETION,
        names.EMBEDDINGS,
        names.IMAGE_GENERATION,
        names.VIDEO_GENERATION,
        names.SPEECH,
        names.TRANSCRIPTION,
        names.MODERATION,
        names.CLASSIFICATION,
        names.RERANK,
        names.OCR,
        names.REALTIME,
        names.RECORDED,
    )
}
"""Operations that are one request to a provider, ours among them where OpenTelemetry names none."""

PLACES: Final[Mapping[str, tuple[str, ...]]] = {
    names.PROVIDER_NAME: (names.PROVIDER_NAME, "gen_ai.system"),
    names.USAGE_SERVICE_TIER: (
        names.USAGE_SERVICE_TIER,
        "openai.response.service_tier",
        "gen_ai.openai.response.service_tier",
        "anthropic.response.service_tier",
    ),
    names.INPUT_TOKENS: (
        names.INPUT_TOKENS,
        "gen_ai.usage.prompt_tokens",
        "llm.usage.prompt_tokens",
    ),
    names.OUTPUT_TOKENS: (
        names.OUTPUT_TOKENS,
        "gen_ai.usage.completion_tokens",
        "llm.usage.completion_tokens",
    ),
    names.CACHE_READ_INPUT_TOKENS: (
        names.CACHE_READ_INPUT_TOKENS,
        "gen_ai.usage.cache_read_input_tokens",
    ),
    names.CACHE_WRITE_INPUT_TOKENS: (
        names.CACHE_WRITE_INPUT_TOKENS,
        "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.cache_creation_input_tokens",
        "gen_ai.usage.cache_write_input_tokens",
    ),
    names.REASONING_OUTPUT_TOKENS: (
        names.REASONING_OUTPUT_TOKENS,
        "gen_ai.usage.reasoning_tokens",
        "llm.usage.reasoning_tokens",
    ),
    names.cache_write("5m"): (
        names.cache_write("5m"),
        "anthropic.usage.cache_creation.ephemeral_5m_input_tokens",
    ),
    names.cache_write("1h"): (
        names.cache_write("1h"),
        "anthropic.usage.cache_creation.ephemeral_1h_input_tokens",
    ),
    names.HTTP_RESPONSE_STATUS_CODE: (names.HTTP_RESPONSE_STATUS_CODE, "http.status_code"),
    names.USAGE_REGION: (names.USAGE_REGION, "cloud.region"),
}

TOTAL: Final = ("gen_ai.usage.total_tokens", "llm.usage.total_tokens")

OPENTELEMETRY = Dialect(
    name="opentelemetry",
    scopes=(
        "opentelemetry.instrumentation.genai",
        "opentelemetry.instrumentation.openai_v2",
        "opentelemetry.instrumentation.google_genai",
        "opentelemetry.util.genai",
        "@opentelemetry/instrumentation-openai",
    ),
    operation=(names.OPERATION_NAME,),
    calls=CALLS,
    places=PLACES,
    total=TOTAL,
    # Of Anthropic's own attributes: a compaction's tokens are in no total (iterations[] of its usage).
    beside={
        names.INPUT_TOKENS: ("anthropic.usage.compaction.input_tokens",),
        names.OUTPUT_TOKENS: ("anthropic.usage.compaction.output_tokens",),
    },
)
