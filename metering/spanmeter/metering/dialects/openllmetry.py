"""OpenLLMetry (Traceloop) for Python and JavaScript: GenAI names and, before 2025, names of its own.

Source: opentelemetry-semantic-conventions-ai and the instrumentations at 0.62.4, where input counts
include the cache but for Bedrock's, and Gemini's output leaves its thoughts out. What its total has
beyond the two is taken for thoughts; prompts that Gemini's tools wrote are in it as well.
"""

from collections.abc import Mapping
from typing import Final

from spanmeter.metering import attributes as names
from spanmeter.metering.dialects.dialect import Case, Counting, Dialect
from spanmeter.metering.dialects.opentelemetry import CALLS, PLACES, TOTAL

PREFIX: Final = "opentelemetry.instrumentation."

OLDER_KINDS: Final[Mapping[str, str]] = {
    "completion": names.TEXT_COMPLETION,
    "embedding": names.EMBEDDINGS,
    "rerank": names.RERANK,
}
"""Values of `llm.request.type` that are no longer in use; `unknown` is no call."""

OPENLLMETRY = Dialect(
    name="openllmetry",
    scopes=(
        *(
            PREFIX + library
            for library in (
                *("alephalpha", "anthropic", "bedrock", "cohere", "crewai", "google_generativeai"),
                *("groq", "haystack", "langchain", "llamaindex", "mistralai", "ollama", "openai"),
                *("openai_agents", "replicate", "sagemaker", "together", "transformers"),
                *("vertexai", "voyageai", "watsonx", "writer"),
            )
        ),
        "@traceloop/",
        "traceloop.tracer",
    ),
    operation=(names.OPERATION_NAME, "llm.request.type"),
    calls={**CALLS, **OLDER_KINDS},
    places={
        **PLACES,
        names.REQUEST_MODEL: (names.REQUEST_MODEL, "llm.request.model"),
        names.RESPONSE_MODEL: (names.RESPONSE_MODEL, "llm.response.model"),
        names.PROVIDER_NAME: (names.PROVIDER_NAME, "gen_ai.system", "llm.vendor"),
    },
    total=TOTAL,
    counting=(
        (Case(scope=PREFIX + "bedrock"), Counting(input="beside_cache")),
        (Case(scope="@traceloop/instrumentation-bedrock"), Counting(input="beside_cache")),
        (Case(scope=PREFIX + "google_generativeai"), Counting(output="beside_reasoning")),
        (Case(scope=PREFIX + "vertexai"), Counting(output="beside_reasoning")),
    ),
    # A stream's counts, each of which is the sum so far, are added to the first of them (traceloop/openllmetry#4377).
    estimates=(Case(scope=PREFIX + "anthropic", saying={"gen_ai.is_streaming": True}),),
)
