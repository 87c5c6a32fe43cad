"""What calls of a model cost, as an application needs it to estimate one before it is made."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple, cast

from spanmeter.metering import attributes as names
from spanmeter.metering.budgets.budget import BudgetError
from spanmeter.metering.called import Called
from spanmeter.metering.costing import EXACT
from spanmeter.metering.meter import Meter
from spanmeter.metering.providers import canonical_provider
from spanmeter.metering.tokens import Tokens

SHORT: Final = 1000
LONG: Final = 1_000_000
"""Tokens of input: a model that charges more for long prompts charges so from fewer on."""

MAX_TEXT: Final = 1024


class TokenRates(NamedTuple):
    """Per token, of the input and the output of usual prompts and of long ones."""

    input: Decimal = Decimal(0)
    output: Decimal = Decimal(0)
    long_input: Decimal = Decimal(0)
    long_output: Decimal = Decimal(0)


class CallRates(NamedTuple):
    """What tokens and other units come to, each in `currency`."""

    tokens: TokenRates
    units: Mapping[str, Decimal]
    currency: str


class Model(NamedTuple):
    """A model as it is asked for, and the tenant, who may have rates of its own."""

    provider: str
    operation: str
    model: str
    tenant: str | None

    @classmethod
    def of(cls, given: object) -> "Model":
        """Raises BudgetError for what is none."""
        members = cast("list[object]", given) if isinstance(given, list) else []
        match members:
            case [str(provider), str(operation), str(model), str() | None as tenant]:
                found = cls(provider, operation, model, tenant)
            case _:
                raise BudgetError("a model is provider, operation, model and tenant, as texts")
        if max(map(len, filter(None, found))) > MAX_TEXT:
            raise BudgetError(f"names of models have up to {MAX_TEXT} characters")
        return found


def called_as(model: Model) -> Called:
    """A call of the model, before it is answered."""
    provider = canonical_provider(model.provider)
    return Called(provider, model.operation, model.model, None, None, None, None, byok=False)


def cost_rates(meter: Meter, model: Model, at: datetime) -> CallRates | None:
    """The rates in force then; None where the model has none."""
    called = called_as(model)

    def cost(taken_in: int, made: int) -> Decimal | None:
        tokens = _tokens(model.operation, taken_in, made)
        found = meter.cost_of_tokens(called, tokens, at, model.tenant)
        return None if found is None else found[0]

    units, currency = meter.unit_prices(called, at, model.tenant)
    short, long = cost(SHORT, 0), cost(LONG, 0)
    if short is None or long is None:
        # Some models are charged by the image, or the second, alone.
        return CallRates(TokenRates(), units, currency) if units else None
    tokens = TokenRates(
        _per(short, SHORT),
        _beside(short, cost(SHORT, SHORT)),
        _per(long, LONG),
        _beside(long, cost(LONG, SHORT)),
    )
    return CallRates(tokens, units, currency)


def _tokens(operation: str, taken_in: int, made: int) -> Tokens:
    """What an operation makes of tokens is its own: those of images and sound have prices of their own."""
    if made and operation == names.IMAGE_GENERATION:
        return Tokens(input_tokens=taken_in, output_tokens=made, image_output_tokens=made)
    if made and operation == names.SPEECH:
        return Tokens(input_tokens=taken_in, output_tokens=made, audio_output_tokens=made)
    return Tokens(input_tokens=taken_in, output_tokens=made)


def _beside(alone: Decimal, both: Decimal | None) -> Decimal:
    """Per token of output. Embeddings have none, and no price for it."""
    return Decimal(0) if both is None else _per(EXACT.subtract(both, alone), SHORT)


def _per(amount: Decimal, tokens: int) -> Decimal:
    return EXACT.divide(amount, Decimal(tokens)).normalize()
