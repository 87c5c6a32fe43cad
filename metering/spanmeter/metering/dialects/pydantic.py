"""Pydantic AI, and what Logfire traces of the openai and anthropic packages.

Source: pydantic-ai 2.68 (`models/instrumented.py`, `usage.py`), logfire 6.0
(`_internal/integrations/llm_providers`). Counts are wholes. An agent's span sums up its calls'
(`gen_ai.aggregated_usage.*`, before 1.0 under the calls' own names) and is none itself. Logfire adds
the provider's block, and tells of a stream twice: when it began, and of its usage when it ended.
"""

from dataclasses import replace

from spanmeter.metering import attributes as names
from spanmeter.metering.dialects.dialect import Case
from spanmeter.metering.dialects.opentelemetry import OPENTELEMETRY, PLACES

DETAILS = "gen_ai.usage.details."
RAW = "gen_ai.usage.raw/"

PYDANTIC_AI = replace(
    OPENTELEMETRY,
    name="pydantic_ai",
    scopes=("pydantic-ai", "pydantic_ai"),
    places={
        **PLACES,
        names.CACHE_READ_INPUT_TOKENS: (
            *PLACES[names.CACHE_READ_INPUT_TOKENS],
            DETAILS + "cache_read_tokens",
            DETAILS + "cache_read_input_tokens",
            DETAILS + "cached_tokens",
        ),
        names.CACHE_WRITE_INPUT_TOKENS: (
            *PLACES[names.CACHE_WRITE_INPUT_TOKENS],
            DETAILS + "cache_write_tokens",
            DETAILS + "cache_creation_input_tokens",
        ),
        names.REASONING_OUTPUT_TOKENS: (
            *PLACES[names.REASONING_OUTPUT_TOKENS],
            DETAILS + "reasoning_tokens",
            DETAILS + "thoughts_tokens",
        ),
    },
)

LOGFIRE = replace(
    OPENTELEMETRY,
    name="logfire",
    scopes=("logfire",),
    places={
        **PLACES,
        names.USAGE_RAW: (names.USAGE_RAW, "gen_ai.usage.raw"),
        names.USAGE_SERVICE_TIER: (*PLACES[names.USAGE_SERVICE_TIER], RAW + "service_tier"),
        names.CACHE_READ_INPUT_TOKENS: (
            *PLACES[names.CACHE_READ_INPUT_TOKENS],
            RAW + "prompt_tokens_details/cached_tokens",
            RAW + "input_tokens_details/cached_tokens",
            RAW + "cache_read_input_tokens",
        ),
        names.CACHE_WRITE_INPUT_TOKENS: (
            *PLACES[names.CACHE_WRITE_INPUT_TOKENS],
            RAW + "prompt_tokens_details/cache_write_tokens",
            RAW + "input_tokens_details/cache_write_tokens",
            RAW + "cache_creation_input_tokens",
        ),
        names.cache_write("5m"): (RAW + "cache_creation/ephemeral_5m_input_tokens",),
        names.cache_write("1h"): (RAW + "cache_creation/ephemeral_1h_input_tokens",),
        names.REASONING_OUTPUT_TOKENS: (
            *PLACES[names.REASONING_OUTPUT_TOKENS],
            RAW + "completion_tokens_details/reasoning_tokens",
            RAW + "output_tokens_details/reasoning_tokens",
        ),
        names.AUDIO_INPUT_TOKENS: (
            names.AUDIO_INPUT_TOKENS,
            RAW + "prompt_tokens_details/audio_tokens",
        ),
        names.AUDIO_OUTPUT_TOKENS: (
            names.AUDIO_OUTPUT_TOKENS,
            RAW + "completion_tokens_details/audio_tokens",
        ),
    },
    outside=(Case(saying={"logfire.span_type": "span"}),),
)
