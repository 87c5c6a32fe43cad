"""OpenInference (Arize Phoenix): `llm.*` names, and one kind for whatever an LLM is asked.

Source: openinference-semantic-conventions 0.1.42 and the instrumentations of that day. Counts are
wholes; those of Bedrock's Converse since 0.1.60.
"""

from spanmeter.metering import attributes as names
from spanmeter.metering.dialects.dialect import Case, Counting, Dialect

COUNT = "llm.token_count."

OPENINFERENCE = Dialect(
    name="openinference",
    scopes=("openinference.instrumentation", "@arizeai/openinference-"),
    operation=("openinference.span.kind",),
    calls={"LLM": names.CHAT, "EMBEDDING": names.EMBEDDINGS, "RERANKER": names.RERANK},
    places={
        names.PROVIDER_NAME: ("llm.provider", "llm.system"),
        names.REQUEST_MODEL: (
            "llm.request.model_name",
            "llm.input_model_name",
            "embedding.model_name",
            "reranker.model_name",
            "llm.model_name",
        ),
        names.RESPONSE_MODEL: (
            "llm.response.model_name",
            "llm.output_model_name",
            "llm.model_name",
        ),
        names.RESPONSE_ID: ("llm.response.id", names.RESPONSE_ID),
        names.INPUT_TOKENS: (COUNT + "prompt",),
        names.OUTPUT_TOKENS: (COUNT + "completion",),
        names.CACHE_READ_INPUT_TOKENS: (
            COUNT + "prompt_details.cache_read",
            COUNT + "prompt_details.cache_input",
        ),
        names.CACHE_WRITE_INPUT_TOKENS: (COUNT + "prompt_details.cache_write",),
        names.REASONING_OUTPUT_TOKENS: (COUNT + "completion_details.reasoning",),
        names.AUDIO_INPUT_TOKENS: (COUNT + "prompt_details.audio",),
        names.AUDIO_OUTPUT_TOKENS: (COUNT + "completion_details.audio",),
    },
    total=(COUNT + "total",),
    counting=(
        (
            # Bedrock's total includes what its input leaves out; other operations sum up their own.
            Case(scope="openinference.instrumentation.bedrock", before="0.1.60"),
            Counting(input="of_total"),
        ),
    ),
    routes=("llm.model_name",),
    names_providers=False,
    vague=True,
)
