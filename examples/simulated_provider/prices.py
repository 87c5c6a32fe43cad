"""What the provider charges: its own list prices, and the tokens it charges for.

The bill made from these is independent of every other price table in the project, so that a
ledger can be reconciled against it. Standard tier and contexts of up to 200k tokens only.

Sources: openai.com/api/pricing and claude.com/pricing, US dollars per million tokens.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Self

PER_MILLION = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens of one call. `input` includes cache reads and writes, `output` includes reasoning.

    `cache_write` is kept for the vendor's standard time to live (Anthropic 5, OpenAI 30 minutes).
    """

    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    output: int = 0
    reasoning: int = 0

    @property
    def uncached_input(self) -> int:
        """Input tokens that touched no cache."""
        return self.input - self.cache_read - self.cache_write - self.cache_write_1h

    def __add__(self, other: Self) -> Self:
        return type(self)(
            input=self.input + other.input,
            cache_read=self.cache_read + other.cache_read,
            cache_write=self.cache_write + other.cache_write,
            cache_write_1h=self.cache_write_1h + other.cache_write_1h,
            output=self.output + other.output,
            reasoning=self.reasoning + other.reasoning,
        )


@dataclass(frozen=True, slots=True)
class ListPrice:
    """One model: the dated name it answers with, and dollars per million tokens of each kind.

    None means that the vendor has no separate price for that kind.
    """

    response_model: str
    input: Decimal
    output: Decimal = Decimal(0)
    cached_input: Decimal | None = None
    cache_write: Decimal | None = None
    cache_write_1h: Decimal | None = None
    reasons: bool = False

    def cost(self, tokens: Tokens) -> Decimal:
        """Exact dollars for `tokens`. A kind without its own price costs what plain input costs."""
        micro_dollars = (
            tokens.uncached_input * self.input
            + tokens.cache_read * _or(self.cached_input, self.input)
            + tokens.cache_write * _or(self.cache_write, self.input)
            + tokens.cache_write_1h * _or(self.cache_write_1h, self.input)
            + tokens.output * self.output
        )
        return micro_dollars / PER_MILLION


def _or(price: Decimal | None, otherwise: Decimal) -> Decimal:
    return otherwise if price is None else price


def _openai(
    response_model: str,
    price: str,
    cached: str,
    output: str,
    *,
    write: str | None = None,
    reasons: bool = False,
) -> ListPrice:
    return ListPrice(
        response_model,
        input=Decimal(price),
        output=Decimal(output),
        cached_input=Decimal(cached),
        cache_write=None if write is None else Decimal(write),
        reasons=reasons,
    )


def _claude(response_model: str, price: str, output: str) -> ListPrice:
    # Anthropic's multipliers of the input price: reads 0.1, five-minute writes 1.25, hour writes 2.
    plain = Decimal(price)
    return ListPrice(
        response_model,
        input=plain,
        output=Decimal(output),
        cached_input=plain * Decimal("0.1"),
        cache_write=plain * Decimal("1.25"),
        cache_write_1h=plain * 2,
    )


UNPUBLISHED = "orchid-preview"
"""A model under private preview: it is served and charged for, but no public table prices it."""

OPENAI: dict[str, ListPrice] = {
    "gpt-4o-mini": _openai("gpt-4o-mini-2024-07-18", "0.15", "0.075", "0.60"),
    "gpt-4o": _openai("gpt-4o-2024-08-06", "2.50", "1.25", "10"),
    "gpt-4.1-mini": _openai("gpt-4.1-mini-2025-04-14", "0.40", "0.10", "1.60"),
    "gpt-4.1": _openai("gpt-4.1-2025-04-14", "2", "0.50", "8"),
    "o4-mini": _openai("o4-mini-2025-04-16", "1.10", "0.275", "4.40", reasons=True),
    "gpt-5-mini": _openai("gpt-5-mini-2025-08-07", "0.25", "0.025", "2", reasons=True),
    "gpt-5": _openai("gpt-5-2025-08-07", "1.25", "0.125", "10", reasons=True),
    # From GPT-5.6 on OpenAI charges for writing the prompt cache too.
    "gpt-6-luna": _openai("gpt-6-luna", "0.10", "0.01", "0.50", write="0.125", reasons=True),
    "gpt-3.5-turbo-instruct": ListPrice(
        "gpt-3.5-turbo-instruct:20230824-v2", input=Decimal("1.50"), output=Decimal(2)
    ),
    "text-embedding-3-small": ListPrice("text-embedding-3-small", input=Decimal("0.02")),
    "text-embedding-3-large": ListPrice("text-embedding-3-large", input=Decimal("0.13")),
    UNPUBLISHED: _openai("orchid-preview-2026-11-01", "4", "1", "16"),
}

ANTHROPIC: dict[str, ListPrice] = {
    "claude-sonnet-4-5": _claude("claude-sonnet-4-5-20250929", "3", "15"),
    "claude-haiku-4-5": _claude("claude-haiku-4-5-20251001", "1", "5"),
    "claude-opus-4-5": _claude("claude-opus-4-5-20251101", "5", "25"),
    "claude-sonnet-5": _claude("claude-sonnet-5", "2", "10"),
}

_HAIKU = "anthropic.claude-haiku-4-5-20251001-v1:0"

# Bedrock charges a tenth more where a model is bound to a region or geography (aws.amazon.com
# /bedrock/pricing).
BEDROCK: dict[str, ListPrice] = {
    _HAIKU: _claude(_HAIKU, "1.1", "5.5"),
    f"us.{_HAIKU}": _claude(f"us.{_HAIKU}", "1.1", "5.5"),
    f"global.{_HAIKU}": _claude(f"global.{_HAIKU}", "1", "5"),
    "amazon.nova-lite-v1:0": ListPrice(
        "amazon.nova-lite-v1:0",
        input=Decimal("0.06"),
        output=Decimal("0.24"),
        cached_input=Decimal("0.015"),
    ),
    "openai.gpt-oss-120b-1:0": ListPrice(
        "openai.gpt-oss-120b-1:0", input=Decimal("0.15"), output=Decimal("0.60")
    ),
    "meta.llama3-3-70b-instruct-v1:0": ListPrice(
        "meta.llama3-3-70b-instruct-v1:0", input=Decimal("0.72"), output=Decimal("0.72")
    ),
    "cohere.command-r-v1:0": ListPrice(
        "cohere.command-r-v1:0", input=Decimal("0.50"), output=Decimal("1.50")
    ),
    "amazon.titan-embed-text-v2:0": ListPrice("amazon.titan-embed-text-v2:0", Decimal("0.02")),
    # By the image, which this bill does not count.
    "amazon.nova-canvas-v1:0": ListPrice("amazon.nova-canvas-v1:0", Decimal(0)),
    # By the second.
    "amazon.nova-reel-v1:1": ListPrice("amazon.nova-reel-v1:1", Decimal(0)),
    "luma.ray-v2:0": ListPrice("luma.ray-v2:0", Decimal(0)),
    "twelvelabs.marengo-embed-2-7-v1:0": ListPrice("twelvelabs.marengo-embed-2-7-v1:0", Decimal(0)),
}


def _gemini(model: str, price: str, cached: str, output: str, *, reasons: bool = True) -> ListPrice:
    return ListPrice(
        model,
        input=Decimal(price),
        output=Decimal(output),
        cached_input=Decimal(cached),
        reasons=reasons,
    )


# ai.google.dev/gemini-api/docs/pricing: text, and prompts of up to 200k tokens.
GOOGLE: dict[str, ListPrice] = {
    "gemini-2.0-flash": _gemini("gemini-2.0-flash", "0.10", "0.025", "0.40", reasons=False),
    "gemini-2.5-flash": _gemini("gemini-2.5-flash", "0.30", "0.03", "2.50"),
    "gemini-2.5-pro": _gemini("gemini-2.5-pro", "1.25", "0.125", "10"),
    "gemini-3.8-flash": _gemini("gemini-3.8-flash", "0.75", "0.075", "3.75"),
    "gemini-3.8-live": ListPrice("gemini-3.8-live", input=Decimal("0.75"), output=Decimal("4.50")),
    "gemini-embedding-001": ListPrice("gemini-embedding-001", input=Decimal("0.15")),
    "text-embedding-005": ListPrice("text-embedding-005", input=Decimal("0.15")),
    # By the picture and by the second, which this bill does not count.
    "imagen-4.0-generate-001": ListPrice("imagen-4.0-generate-001", input=Decimal(0)),
    "veo-3.1-generate-001": ListPrice("veo-3.1-generate-001", input=Decimal(0)),
}


@dataclass(frozen=True, slots=True)
class PriceList:
    """The models of one vendor, found by the name users write or by the dated one."""

    prices: dict[str, ListPrice]
    _by_response_model: dict[str, ListPrice] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        dated = {price.response_model: price for price in self.prices.values()}
        object.__setattr__(self, "_by_response_model", dated)

    def find(self, model: str) -> ListPrice | None:
        """The price of `model`, or None where the vendor has no such model."""
        return self.prices.get(model) or self._by_response_model.get(model)
