"""Langfuse's SDKs: generations, whose usage is JSON in the words of whoever reported it.

Source: langfuse 5.0.4 (`_client/attributes.py`, `openai.py`). OpenAI's blocks are passed on as they
are, and are wholes; the SDK's own words (`input`, `cache_read_input_tokens`) are parts that Langfuse
adds up. It names models, never providers.
"""

from spanmeter.metering import attributes as names
from spanmeter.metering.dialects.dialect import Case, Counting, Dialect

USAGE = "langfuse.observation.usage_details/"

LANGFUSE = Dialect(
    name="langfuse",
    scopes=("langfuse-sdk", "langfuse-tracer"),
    operation=("langfuse.observation.type",),
    calls={"generation": names.CHAT, "embedding": names.EMBEDDINGS},
    places={
        names.REQUEST_MODEL: ("langfuse.observation.model.name",),
        names.INPUT_TOKENS: (USAGE + "prompt_tokens", USAGE + "input_tokens", USAGE + "input"),
        names.OUTPUT_TOKENS: (
            USAGE + "completion_tokens",
            USAGE + "output_tokens",
            USAGE + "output",
        ),
        names.CACHE_READ_INPUT_TOKENS: (
            USAGE + "prompt_tokens_details/cached_tokens",
            USAGE + "input_tokens_details/cached_tokens",
            USAGE + "cache_read_input_tokens",
            USAGE + "input_cached_tokens",
            USAGE + "input_cache_read",
        ),
        names.CACHE_WRITE_INPUT_TOKENS: (
            USAGE + "prompt_tokens_details/cache_write_tokens",
            USAGE + "input_tokens_details/cache_write_tokens",
            USAGE + "cache_creation_input_tokens",
            USAGE + "input_cache_creation",
        ),
        names.cache_write("5m"): (USAGE + "cache_creation/ephemeral_5m_input_tokens",),
        names.cache_write("1h"): (USAGE + "cache_creation/ephemeral_1h_input_tokens",),
        names.REASONING_OUTPUT_TOKENS: (
            USAGE + "completion_tokens_details/reasoning_tokens",
            USAGE + "output_tokens_details/reasoning_tokens",
            USAGE + "output_reasoning_tokens",
            USAGE + "output_reasoning",
        ),
    },
    counting=(
        (Case(having=USAGE + "prompt_tokens"), Counting()),
        (Case(having=USAGE + "input_tokens_details"), Counting()),
        (Case(having=USAGE + "input_tokens"), Counting(input="beside_cache")),
        (Case(), Counting(input="beside_cache", output="beside_reasoning")),
    ),
    names_providers=False,
)
