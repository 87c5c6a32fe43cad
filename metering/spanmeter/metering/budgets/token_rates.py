"""What tokens of a model cost, as an application needs it to estimate a call before it is made."""

from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple, cast

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
    """Per token, of the input and the output of usual prompts and of long ones, in `currency`."""

    input: Decimal
    output: Decimal
    long_input: Decimal
    long_output: Decimal
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


def token_rates(meter: Meter, model: Model, at: datetime) -> TokenRates | None:
    """The rates in force then; None where the model has none."""
    provider = canonical_provider(model.provider)
    called = Called(provider, model.operation, model.model, None, None, None, None, byok=False)

    def cost(taken_in: int, made: int) -> tuple[Decimal, str] | None:
        tokens = Tokens(input_tokens=taken_in, output_tokens=made)
        return meter.cost_of_tokens(called, tokens, at, model.tenant)

    of_short, of_long = cost(SHORT, 0), cost(LONG, 0)
    if of_short is None or of_long is None:
        return None
    short, currency = of_short
    long, _ = of_long
    # Embeddings have no output, and no price for it.
    short_both, long_both = cost(SHORT, SHORT), cost(LONG, SHORT)
    return TokenRates(
        _per(short, SHORT),
        _per(EXACT.subtract(short_both[0], short), SHORT) if short_both else Decimal(0),
        _per(long, LONG),
        _per(EXACT.subtract(long_both[0], long), SHORT) if long_both else Decimal(0),
        currency,
    )


def _per(amount: Decimal, tokens: int) -> Decimal:
    return EXACT.divide(amount, Decimal(tokens)).normalize()
