"""OpenTelemetry's GenAI conventions as they stand, which are also what our own instrumentation speaks.

Source: open-telemetry/semantic-conventions-genai, docs/gen-ai/client-inference.md, anthropic.md and
model/gen-ai/token-metrics.yaml.
"""

from spanmeter.metering import attributes as names
from spanmeter.metering.dialects.dialect import Dialect

OPENTELEMETRY = Dialect(
    name="opentelemetry",
    operation=(names.OPERATION_NAME,),
    calls=frozenset(
        {
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
        }
    ),
    provider=(names.PROVIDER_NAME,),
    request_model=(names.REQUEST_MODEL,),
    response_model=(names.RESPONSE_MODEL,),
    response_id=(names.RESPONSE_ID,),
    service_tier=(
        names.USAGE_SERVICE_TIER,
        "openai.response.service_tier",
        "anthropic.response.service_tier",
    ),
    time_to_first_token=(names.TIME_TO_FIRST_CHUNK,),
    input_tokens=(names.INPUT_TOKENS,),
    cache_read_input_tokens=(names.CACHE_READ_INPUT_TOKENS,),
    cache_write_input_tokens=(names.CACHE_WRITE_INPUT_TOKENS,),
    output_tokens=(names.OUTPUT_TOKENS,),
    reasoning_output_tokens=(names.REASONING_OUTPUT_TOKENS,),
    cache_write_by_ttl=(
        ("5m", "anthropic.usage.cache_creation.ephemeral_5m_input_tokens"),
        ("1h", "anthropic.usage.cache_creation.ephemeral_1h_input_tokens"),
    ),
    audio_input_tokens=(names.AUDIO_INPUT_TOKENS,),
    audio_cache_read_input_tokens=(names.AUDIO_CACHE_READ_INPUT_TOKENS,),
    audio_output_tokens=(names.AUDIO_OUTPUT_TOKENS,),
    image_input_tokens=(names.IMAGE_INPUT_TOKENS,),
    image_cache_read_input_tokens=(names.IMAGE_CACHE_READ_INPUT_TOKENS,),
    image_output_tokens=(names.IMAGE_OUTPUT_TOKENS,),
)
