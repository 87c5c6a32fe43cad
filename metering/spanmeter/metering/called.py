"""What was called: provider, model, tier."""

from typing import Final, NamedTuple

from spanmeter.metering import attributes as names
from spanmeter.metering.providers import canonical_provider
from spanmeter.metering.reading import flag, texts
from spanmeter.metering.span import Attributes
from spanmeter.metering.unmeterable import Unmeterable

NEED_A_MODEL: Final = frozenset(
    {names.CHAT, names.GENERATE_CONTENT, names.TEXT_COMPLETION, names.EMBEDDINGS}
)
"""Operations whose every request and answer names its model. Other endpoints have a default that
their answers may leave unsaid; what an application records may have none."""


NAMES: Final = (
    names.PROVIDER_NAME,
    names.REQUEST_MODEL,
    names.RESPONSE_MODEL,
    names.RESPONSE_ID,
    names.USAGE_REGION,
    names.USAGE_SERVICE_TIER,
)


class Called(NamedTuple):
    """The request, in the row's order."""

    provider: str
    operation: str
    request_model: str | None
    response_model: str | None
    response_id: str | None
    region: str | None
    service_tier: str | None
    byok: bool


def read_called(attributes: Attributes, operation: str) -> Called:
    """The request a span is of. Raises `Unmeterable` without a provider, or without any model where
    there must be one."""
    named, request_model, response_model, response_id, region, tier = texts(attributes, NAMES)
    provider = canonical_provider(named or "")
    if not provider and operation == names.RECORDED:
        provider = names.SELF_HOSTED
    if not provider:
        raise Unmeterable(
            "no_provider", f"{names.PROVIDER_NAME} is missing; no rate can be found without it"
        )
    if request_model is None and response_model is None and operation in NEED_A_MODEL:
        raise Unmeterable(
            "no_model",
            f"neither {names.REQUEST_MODEL} nor {names.RESPONSE_MODEL} is given",
        )
    return Called(
        provider,
        operation,
        request_model,
        response_model,
        response_id,
        region,
        tier,
        flag(attributes, names.USAGE_BYOK),
    )
