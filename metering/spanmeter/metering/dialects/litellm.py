"""LiteLLM's OpenTelemetry callback, of the library and of its proxy.

Source: litellm 1.106.2, `integrations/opentelemetry.py`. `litellm_request` is the call;
`raw_gen_ai_request` inside it holds what was sent, and the proxy's own spans (`Received Proxy Server
Request`, `auth`, `router`) hold no counts. What the cache had is only in a dictionary that was
printed into the metadata. Where an answer has no id in OpenAI's form, it gets one. Counts are wholes
for every provider.
"""

from dataclasses import replace

from spanmeter.metering import attributes as names
from spanmeter.metering.dialects.opentelemetry import CALLS, OPENTELEMETRY, PLACES

UUID = "-".join(f"[0-9a-f]{{{digits}}}" for digits in (8, 4, 4, 4, 12))
USAGE = "metadata.usage_object/"

LITELLM = replace(
    OPENTELEMETRY,
    name="litellm",
    scopes=("litellm",),
    operation=(names.OPERATION_NAME, "llm.request.type"),
    calls={
        **CALLS,
        **dict.fromkeys(("completion", "acompletion", "responses", "aresponses"), names.CHAT),
        **dict.fromkeys(("anthropic_messages", "agenerate_content"), names.CHAT),
        **dict.fromkeys(("text_completion", "atext_completion"), names.TEXT_COMPLETION),
        **dict.fromkeys(("embedding", "aembedding"), names.EMBEDDINGS),
        **dict.fromkeys(("image_generation", "aimage_generation"), names.IMAGE_GENERATION),
        **dict.fromkeys(("speech", "aspeech"), names.SPEECH),
        **dict.fromkeys(("transcription", "atranscription"), names.TRANSCRIPTION),
        **dict.fromkeys(("rerank", "arerank"), names.RERANK),
    },
    routes=("litellm.provider.model",),
    own_id=rf"(chatcmpl-)?{UUID}",
    places={
        **PLACES,
        names.PROVIDER_NAME: (names.PROVIDER_NAME, "gen_ai.system", "custom_llm_provider"),
        names.CACHE_READ_INPUT_TOKENS: (
            *PLACES[names.CACHE_READ_INPUT_TOKENS],
            USAGE + "cache_read_input_tokens",
            USAGE + "prompt_tokens_details/cached_tokens",
        ),
        names.CACHE_WRITE_INPUT_TOKENS: (
            *PLACES[names.CACHE_WRITE_INPUT_TOKENS],
            USAGE + "cache_creation_input_tokens",
            USAGE + "prompt_tokens_details/cache_creation_tokens",
        ),
        names.REASONING_OUTPUT_TOKENS: (
            *PLACES[names.REASONING_OUTPUT_TOKENS],
            USAGE + "completion_tokens_details/reasoning_tokens",
        ),
        names.AUDIO_INPUT_TOKENS: (
            names.AUDIO_INPUT_TOKENS,
            USAGE + "prompt_tokens_details/audio_tokens",
        ),
        names.AUDIO_OUTPUT_TOKENS: (
            names.AUDIO_OUTPUT_TOKENS,
            USAGE + "completion_tokens_details/audio_tokens",
        ),
    },
)
