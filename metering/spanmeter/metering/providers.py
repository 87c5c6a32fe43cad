"""Providers: one canonical name each (OpenTelemetry's), and their list in the price catalogue.

The catalogue matches names loosely (`azure.ai.openai` would be priced as OpenAI), so the mapping is
ours and exact: a provider that the catalogue does not list by its id is unpriced, never guessed.
"""

import re
from typing import Final

CANONICAL: Final = {
    "amazon": "aws.bedrock",
    "amazon-bedrock": "aws.bedrock",
    "aws": "aws.bedrock",
    "az.ai.openai": "azure.ai.openai",
    "azure": "azure.ai.openai",
    "azure_openai": "azure.ai.openai",
    "az.ai.inference": "azure.ai.inference",
    "bedrock": "aws.bedrock",
    "aws_bedrock": "aws.bedrock",
    "bedrock_converse": "aws.bedrock",
    "gemini": "gcp.gemini",
    "google": "gcp.gemini",
    "google_genai": "gcp.gemini",
    "vertex_ai": "gcp.vertex_ai",
    "vertexai": "gcp.vertex_ai",
    "vertex_ai_beta": "gcp.vertex_ai",
    "mistral": "mistral_ai",
    "mistralai": "mistral_ai",
    "moonshotai": "moonshot_ai",
    "xai": "x_ai",
    "x-ai": "x_ai",
    "moonshot": "moonshot_ai",
    "together_ai": "together",
    "fireworks_ai": "fireworks",
}
"""Names that emitters use or used → the canonical name.

OpenTelemetry renamed several; others come from gateways.
"""

CATALOGUE: Final = {
    "azure.ai.openai": "azure",
    "azure.ai.inference": "azure",
    "aws.bedrock": "aws",
    "gcp.gemini": "google",
    "gcp.vertex_ai": "google",
    "gcp.gen_ai": "google",
    "mistral_ai": "mistral",
    "x_ai": "x-ai",
    "moonshot_ai": "moonshotai",
}
"""Canonical name → provider id in genai-prices, where they differ."""

UNKNOWN: Final = "unknown"
"""The provider of a call that names none, and no model by which it is known."""

MAKERS: Final = (
    ("openai", r"gpt-|chatgpt-|o[1-9](-|$)|text-embedding-(3|ada)|codex-|dall-e-|whisper-1$|tts-1"),
    ("anthropic", r"claude-"),
    ("gcp.gemini", r"(models/)?(gemini|text-embedding-00|gemini-embedding|imagen|veo)-"),
    (
        "mistral_ai",
        r"(open-)?(mistral|mixtral|codestral|ministral|magistral|pixtral|devstral|voxtral)-",
    ),
    ("cohere", r"(command|embed-(english|multilingual|v4)|rerank)(-|$)"),
    ("deepseek", r"deepseek-(chat|reasoner)$"),
    ("x_ai", r"grok-"),
    (
        "aws.bedrock",
        r"(.*/)?([a-z-]{2,6}\.)?(ai21|amazon|anthropic|cohere|deepseek|meta|mistral|writer)\.",
    ),
)
"""Provider → how the models are named that it alone makes, or serves by such names."""


def maker_of(model: str) -> str | None:
    """Who serves a model first of all; `None` where its name does not tell."""
    for provider, named in MAKERS:
        if re.match(named, model.lower()):
            return provider
    return None


def canonical_provider(name: str) -> str:
    """The canonical name of a provider: `AZ.AI.OpenAI` → `azure.ai.openai`.

    Names that are not known are kept, in lower case.
    """
    lowered = name.strip().lower()
    return CANONICAL.get(lowered, lowered)


def catalogue_id(provider: str) -> str:
    """The id under which the catalogue may list a canonical provider. It is compared exactly."""
    return CATALOGUE.get(provider, provider)
