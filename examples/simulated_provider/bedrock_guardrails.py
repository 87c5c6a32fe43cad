"""Bedrock's wire: guardrails by themselves, their checks, and videos that are made later.

Source: docs.aws.amazon.com/bedrock/latest/APIReference, and the service model in botocore.
"""

from decimal import Decimal

from simulated_provider.answers import prompt_of
from simulated_provider.bedrock_wire import PRICES, WIRE, guardrail_usage, price_of
from simulated_provider.exchange import JSON, Call, Endpoint, Exchange, listed, new_id, section
from simulated_provider.prices import Tokens

# aws.amazon.com/bedrock/pricing: content filters, and Nova Reel.
UNIT, SECOND = Decimal("0.00015"), Decimal("0.08")


def apply(call: Call) -> Exchange:
    """POST /guardrail/{guardrail}/version/{version}/apply."""
    usage = guardrail_usage(prompt_of(listed(call.body, "content")))
    body: JSON = {"action": "NONE", "outputs": [], "assessments": [], "usage": usage}
    return _of_no_model(call, usage, body, UNIT * usage["contentPolicyUnits"])


def check(call: Call) -> Exchange:
    """POST /guardrail-checks/invoke."""
    units = guardrail_usage(prompt_of(listed(call.body, "messages")))["contentPolicyUnits"]
    usage: JSON = {name: {"textUnits": units} for name in section(call.body, "checks")}
    results: JSON = {name: {"results": []} for name in usage}
    return _of_no_model(call, usage, {"results": results, "usage": usage}, UNIT * units)


def _of_no_model(call: Call, usage: JSON, body: JSON, cost: Decimal) -> Exchange:
    [price, *_] = PRICES.prices.values()
    return Exchange(price, call.request_id, usage, Tokens(), body, beyond=cost)


def start(call: Call) -> Exchange:
    """POST /async-invoke."""
    asked = call.body["modelInput"]
    seconds = section(asked, "videoGenerationConfig").get("durationSeconds") or int(
        asked.get("duration", "0s").removesuffix("s")
    )
    name = f"arn:aws:bedrock:eu-west-1:123456789012:async-invoke/{new_id('', 12).lower()}"
    model: JSON = {**call.body, "model": call.body["modelId"]}
    price = price_of(Call(model, call.reply, call.cache, call.request_id))
    return Exchange(price, name, {}, Tokens(), {"invocationArn": name}, beyond=SECOND * seconds)


ENDPOINTS = (
    Endpoint("/guardrail/{guardrail}/version/{number}/apply", "bedrock.guardrail", WIRE, apply),
    Endpoint("/guardrail-checks/invoke", "bedrock.guardrail", WIRE, check),
    Endpoint("/async-invoke", "bedrock.async_invoke", WIRE, start),
)
