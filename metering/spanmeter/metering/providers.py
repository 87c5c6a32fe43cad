"""Providers: one canonical name each (OpenTelemetry's), and their list in the price catalogue.

The catalogue matches names loosely (`azure.ai.openai` would be priced as OpenAI), so the mapping is ours and exact.
"""

from typing import Final

CANONICAL: Final = {
    "az.ai.openai": "azure.ai.openai",
    "azure": "azure.ai.openai",
    "azure_openai": "azure.ai.openai",
    "az.ai.inference": "azure.ai.inference",
    "bedrock": "aws.bedrock",
    "aws_bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "google": "gcp.gemini",
    "google_genai": "gcp.gemini",
    "vertex_ai": "gcp.vertex_ai",
    "vertexai": "gcp.vertex_ai",
    "mistral": "mistral_ai",
    "mistralai": "mistral_ai",
    "xai": "x_ai",
    "x-ai": "x_ai",
    "moonshot": "moonshot_ai",
    "together_ai": "together",
    "fireworks_ai": "fireworks",
}
"""Names that emitters use or used → the canonical name. OpenTelemetry renamed several; others come from gateways."""

CATALOGUE: Final = {
    "openai": "openai",
    "anthropic": "anthropic",
    "azure.ai.openai": "azure",
    "azure.ai.inference": "azure",
    "aws.bedrock": "aws",
    "gcp.gemini": "google",
    "gcp.vertex_ai": "google",
    "gcp.gen_ai": "google",
    "mistral_ai": "mistral",
    "cohere": "cohere",
    "groq": "groq",
    "deepseek": "deepseek",
    "perplexity": "perplexity",
    "x_ai": "x-ai",
    "moonshot_ai": "moonshotai",
    "openrouter": "openrouter",
    "together": "together",
    "fireworks": "fireworks",
    "cerebras": "cerebras",
    "voyageai": "voyageai",
    "novita": "novita",
}
"""Canonical name → provider id in genai-prices 0.2. A provider that is not here is `unpriced`, never guessed."""


def canonical_provider(name: str) -> str:
    """The canonical name of a provider: `AZ.AI.OpenAI` → `azure.ai.openai`; unknown names are kept, in lower case."""
    lowered = name.strip().lower()
    return CANONICAL.get(lowered, lowered)
