"""Every attribute name on the wire, in one place.

Names in the `gen_ai.*` namespace are OpenTelemetry's, as of semantic-conventions-genai (2026-06);
they are owned here because the Python constants for them are marked deprecated. Names under
`tenant.*`, `usage.*` and the other dimensions are ours: the same name is used in W3C baggage and on
spans.

This module imports nothing, so that the instrumentation can use it inside any application.
"""

from typing import Final

# Who: the usage context. The same names in baggage and on spans.
TENANT_ID: Final = "tenant.id"
WORKSPACE_ID: Final = "workspace.id"
PROJECT_ID: Final = "project.id"
USER_ID: Final = "user.id"
USAGE_FEATURE: Final = "usage.feature"
USAGE_WORKFLOW: Final = "usage.workflow"
USAGE_ACTION: Final = "usage.action"
USAGE_LABEL: Final = "usage.label"
USAGE_IDEMPOTENCY_KEY: Final = "usage.idempotency_key"
USAGE_ACCOUNT_TYPE: Final = "usage.account_type"
USAGE_BILLABLE_STATE: Final = "usage.billable_state"
USAGE_BYOK: Final = "usage.byok"
USAGE_DIMENSION_PREFIX: Final = "usage.dimension."

TOLD_BY_SPAN: Final = (
    TENANT_ID,
    WORKSPACE_ID,
    PROJECT_ID,
    USER_ID,
    USAGE_FEATURE,
    USAGE_WORKFLOW,
    USAGE_ACTION,
    USAGE_LABEL,
    USAGE_IDEMPOTENCY_KEY,
    USAGE_ACCOUNT_TYPE,
)
"""The named dimensions of a usage context, in the order of the row."""

# How much, beside the token counts that OpenTelemetry names.
USAGE_UNIT: Final = "usage.unit"
USAGE_QUANTITY: Final = "usage.quantity"
USAGE_QUANTITY_PREFIX: Final = "usage.quantity."
"""Further units of one call, each by its name: `usage.quantity.web_searches`."""
USAGE_SOURCE: Final = "usage.source"
USAGE_ATTEMPT: Final = "usage.attempt"
USAGE_CALLSITE: Final = "usage.callsite"
USAGE_REGION: Final = "usage.region"
USAGE_SERVICE_TIER: Final = "usage.service_tier"
USAGE_BUDGET_LEASES: Final = "usage.budget.leases"
"""The leases of budgets that the call drew on, with spaces between: what is booked is no longer lent."""
USAGE_BUDGETS_OVER: Final = "usage.budget.over"
"""The budgets that the call did not fit into, and that let it go, with spaces between."""
USAGE_RAW: Final = "usage.raw"
"""The provider's usage block as it was sent, JSON text. Counts only: it never holds prompts or
completions."""
USAGE_CACHE_WRITE_PREFIX: Final = "usage.cache_write."
"""Cache writes by time-to-live: `usage.cache_write.5m.input_tokens`."""
USAGE_CACHE_WRITE_SUFFIX: Final = ".input_tokens"

# OpenTelemetry GenAI: the call.
OPERATION_NAME: Final = "gen_ai.operation.name"
PROVIDER_NAME: Final = "gen_ai.provider.name"
REQUEST_MODEL: Final = "gen_ai.request.model"
REQUEST_STREAM: Final = "gen_ai.request.stream"
RESPONSE_MODEL: Final = "gen_ai.response.model"
RESPONSE_ID: Final = "gen_ai.response.id"
RESPONSE_FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
TIME_TO_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"

# OpenTelemetry GenAI: token counts. Input includes cache reads and writes, output includes
# reasoning.
INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
CACHE_READ_INPUT_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
CACHE_WRITE_INPUT_TOKENS: Final = "gen_ai.usage.cache_write.input_tokens"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
REASONING_OUTPUT_TOKENS: Final = "gen_ai.usage.reasoning.output_tokens"
AUDIO_INPUT_TOKENS: Final = "gen_ai.usage.audio.input_tokens"
AUDIO_CACHE_READ_INPUT_TOKENS: Final = "gen_ai.usage.audio.cache_read.input_tokens"
AUDIO_OUTPUT_TOKENS: Final = "gen_ai.usage.audio.output_tokens"
IMAGE_INPUT_TOKENS: Final = "gen_ai.usage.image.input_tokens"
IMAGE_CACHE_READ_INPUT_TOKENS: Final = "gen_ai.usage.image.cache_read.input_tokens"
IMAGE_OUTPUT_TOKENS: Final = "gen_ai.usage.image.output_tokens"

# OpenTelemetry GenAI: a score that a call was given. It may stand in an event of a span, in a span or in a log record.
EVALUATION_RESULT: Final = "gen_ai.evaluation.result"
EVALUATION_NAME: Final = "gen_ai.evaluation.name"
EVALUATION_SCORE_VALUE: Final = "gen_ai.evaluation.score.value"
EVALUATION_SCORE_LABEL: Final = "gen_ai.evaluation.score.label"

# OpenTelemetry, general.
ERROR_TYPE: Final = "error.type"
HTTP_RESPONSE_STATUS_CODE: Final = "http.response.status_code"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"
SERVICE_NAME: Final = "service.name"
SERVICE_NAMESPACE: Final = "service.namespace"
DEPLOYMENT_ENVIRONMENT_NAME: Final = "deployment.environment.name"
DEPLOYMENT_ENVIRONMENT: Final = "deployment.environment"
"""Its name before semantic conventions 1.27, which many resources are still given."""

# `gen_ai.operation.name` values that are one request to a provider, and so are metered.
CHAT: Final = "chat"
GENERATE_CONTENT: Final = "generate_content"
TEXT_COMPLETION: Final = "text_completion"
EMBEDDINGS: Final = "embeddings"
# Ours, where OpenTelemetry names none yet.
IMAGE_GENERATION: Final = "image_generation"
VIDEO_GENERATION: Final = "video_generation"
SPEECH: Final = "speech"
TRANSCRIPTION: Final = "transcription"
MODERATION: Final = "moderation"
CLASSIFICATION: Final = "classification"
RERANK: Final = "rerank"
OCR: Final = "ocr"
REALTIME: Final = "realtime"
RECORDED: Final = "recorded"
"""What the application records itself: GPU seconds, a model of its own."""

SELF_HOSTED: Final = "self_hosted"
"""The provider of what the application records without naming one."""

INVOKE_AGENT: Final = "invoke_agent"
"""An agent's run. It sums up the calls inside it, and is metered only where another service ran it and
no call inside it is known."""

FETCH_RESPONSE: Final = "fetch_response"
"""Fetching a response made earlier: a request, but no use of a model. Never metered."""

# `error.type` values that say how a call ended rather than what failed.
TIMEOUT: Final = "timeout"
CANCELLED: Final = "cancelled"

# `usage.source` values.
SOURCE_PROVIDER: Final = "provider"
SOURCE_TOKENIZER: Final = "tokenizer"
SOURCE_ESTIMATE: Final = "estimate"
SOURCE_NONE: Final = "none"

SCOPE_PREFIX: Final = "spanmeter."
"""Instrumentation scopes of ours begin with this, followed by the client library's name."""
TRACING_SCOPE_PREFIX: Final = "spanmeter-tracing."
"""Scopes of the spans that the application's own tracing keeps of metered calls begin with this. The
call has a metering record with the same ids, so these are never metered."""

# The producer of metering records: one process of an application. Resource attributes, but for the
# sequence.
PRODUCER_ID: Final = "usage.producer.id"
PRODUCER_SEQUENCE: Final = "usage.producer.sequence"
"""On each record: 1, 2, 3 ... without a gap, so that the receiver sees what is missing."""
PRODUCER_DROPPED: Final = "usage.producer.dropped"
"""How many records the producer has had to give up so far, each of which took a sequence number."""


def cache_write(ttl: str) -> str:
    """The name of the cache writes with one time-to-live: `5m`, `1h`."""
    return f"{USAGE_CACHE_WRITE_PREFIX}{ttl}{USAGE_CACHE_WRITE_SUFFIX}"


def quantity(unit: str) -> str:
    """The name of an amount of one unit: `usage.quantity.pages`."""
    return f"{USAGE_QUANTITY_PREFIX}{unit}"


_LLM_USAGE: Final = ("prompt_tokens", "completion_tokens", "reasoning_tokens", "total_tokens")

READ: Final = frozenset(
    {
        *TOLD_BY_SPAN,
        # OpenTelemetry, now and before.
        *(OPERATION_NAME, PROVIDER_NAME, "gen_ai.system", REQUEST_MODEL, REQUEST_STREAM),
        *(RESPONSE_MODEL, RESPONSE_ID, RESPONSE_FINISH_REASONS, TIME_TO_FIRST_CHUNK),
        *(ERROR_TYPE, HTTP_RESPONSE_STATUS_CODE, "http.status_code", SERVER_ADDRESS, SERVER_PORT),
        *("gen_ai.client.operation.time_to_first_chunk", "gen_ai.server.time_to_first_token"),
        *("gen_ai.is_streaming", "gen_ai.request.user", "gen_ai.workflow.name"),
        *("openai.response.service_tier", "gen_ai.openai.response.service_tier"),
        *("anthropic.response.service_tier", "cloud.region", "rpc.method", "enduser.id"),
        # OpenInference, OpenLLMetry.
        *("openinference.span.kind", "llm.provider", "llm.system", "llm.vendor", "llm.user"),
        *("llm.model_name", "llm.input_model_name", "llm.output_model_name", "llm.request.type"),
        *("llm.request.model", "llm.request.model_name", "embedding.model_name"),
        *("llm.response.model", "llm.response.model_name", "llm.response.id"),
        *("reranker.model_name", "traceloop.workflow.name"),
        *(f"llm.usage.{tokens}" for tokens in _LLM_USAGE),
        # Vercel, LiteLLM, Langfuse, Logfire.
        *("ai.operationId", "ai.model.id", "ai.model.provider", "ai.telemetry.functionId"),
        *("ai.response.id", "ai.response.model", "ai.response.msToFirstChunk"),
        *("custom_llm_provider", "litellm.provider.model", "logfire.span_type"),
        *("langfuse.observation.type", "langfuse.observation.model.name", "langfuse.user.id"),
    }
)
"""What metering reads of spans, whoever made them, beside the families below: names, kinds, times and
identities, none of which carries a prompt or a completion."""

READ_PREFIXES: Final = (
    "usage.",
    "gen_ai.usage.",
    "anthropic.usage.",
    "llm.token_count.",
    "ai.usage.",
)
"""Beginnings of the names of counts, and of what else of usage is ours."""

READ_USAGE: Final = frozenset(
    {
        USAGE_RAW,
        "gen_ai.usage.raw",
        "langfuse.observation.usage_details",
        "metadata.usage_object",
    }
)
"""Attributes that hold counts as JSON, or as a mapping that was printed."""

READ_METADATA: Final = frozenset(
    {"metadata", "metadata.requester_metadata", "ai.response.providerMetadata"}
)
"""Attributes that hold, as JSON or printed, what an application says of a call, its tenant among it, or a
provider of its answer, counts among it. In either there may be texts."""

READ_METADATA_PREFIXES: Final = (
    "traceloop.association.properties.",
    "ai.telemetry.metadata.",
    "langfuse.trace.metadata.",
    "metadata.",
)
"""Beginnings of the names of what an application says of a call, one attribute each."""
