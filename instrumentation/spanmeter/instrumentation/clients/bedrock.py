"""Amazon Bedrock through botocore (boto3) and aiobotocore (aioboto3): Converse, InvokeModel, and
their streams, guardrails, and what is made later.

InvokeModelWithBidirectionalStream is not among them: botocore leaves it out of its clients, since
it needs HTTP/2. CountTokens costs nothing.
"""

from typing import Any, Final
from urllib.parse import urlsplit

from spanmeter.instrumentation.botocore_transport import patch_aiobotocore, patch_botocore
from spanmeter.instrumentation.budgets.rewriting import Rewriting
from spanmeter.instrumentation.clients.bedrock_guardrails import GUARDED, STARTED
from spanmeter.instrumentation.clients.bedrock_invoked import (
    InvokedRewriting,
    content_of,
    output_limit_of,
    prompt_of_invoked,
)
from spanmeter.instrumentation.clients.bedrock_usage import (
    CONVERSE,
    INVOKE,
    model_name,
    openai_stream_attributes,
    read_headers,
    read_invoked_and_model,
)
from spanmeter.instrumentation.endpoint import Endpoint, no_texts
from spanmeter.instrumentation.instrumentor import (
    Arguments,
    ClientInstrumentor,
    Keywords,
    Patch,
    Request,
)
from spanmeter.instrumentation.texts import prompt_of
from spanmeter.metering import attributes as names

SERVICE: Final = "bedrock-runtime"

INVOKED: Final = "InvokeModel"
"""What the names of operations begin with that take a model's own document."""

GEOGRAPHIES: Final = frozenset(
    {"us", "us-gov", "eu", "apac", "jp", "au", "ca", "sa", "uk", "global"}
)
"""What the ids of cross-region inference profiles begin with. Which region of them has served is
not said, and does not matter to the price. Source: the user guide, "Supported Regions and models
for inference profiles"."""

OPERATIONS_BY_MODEL: Final = (
    ("embed", names.EMBEDDINGS),
    ("rerank", names.RERANK),
    ("nova-canvas", names.IMAGE_GENERATION),
    ("titan-image", names.IMAGE_GENERATION),
    ("stability.", names.IMAGE_GENERATION),
)
"""Parts of model ids that tell what InvokeModel is asked for, where it is not chat."""


def describe(client: Any, args: Arguments, kwargs: Keywords) -> Request | None:
    """What a call of an AWS client asks of a model; of all other services, nothing."""
    meta = client.meta
    if meta.service_model.service_name != SERVICE:
        return None
    operation, body = _asked(*args, **kwargs)
    endpoint = _ENDPOINTS.get(operation)
    # Guardrails have no model.
    model_id = "" if operation in _GUARDRAILS else body.get("modelId")
    if endpoint is None or not isinstance(model_id, str):
        return None
    url = urlsplit(str(meta.endpoint_url))

    def put(changed: dict[str, Any]) -> None:
        # botocore's own dict of what it was given.
        body.clear()
        body.update(changed)

    invoked = operation.startswith(INVOKED)
    rewriting = InvokedRewriting(body) if invoked else Rewriting(put, "modelId")
    return Request(
        endpoint=endpoint_of(endpoint, operation, model_id),
        provider="aws.bedrock",
        model=model_name(model_id) or None,
        http_client=client._endpoint,  # noqa: SLF001 - where botocore itself keeps it
        server_address=url.hostname or "",
        server_port=url.port or (443 if url.scheme == "https" else 80),
        body=body,
        streamed=operation.endswith("Stream"),
        region=region_of(model_id, meta.region_name),
        rewrite=rewriting.rewrite,
        rename=rewriting.rename,
    )


def _asked(operation_name: str, api_params: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The arguments of `_make_api_call`."""
    return operation_name, api_params


def endpoint_of(endpoint: Endpoint, operation: str, model_id: str) -> Endpoint:
    """The endpoint of an operation, by its name in the API, as a model's id makes it."""
    if operation == "ConverseStream" and "openai." in model_id:
        return endpoint._replace(attributes=openai_stream_attributes)
    if operation == "StartAsyncInvoke" and "embed" in model_id:
        return endpoint._replace(operation=names.EMBEDDINGS)
    if not operation.startswith(INVOKED):
        return endpoint
    endpoint = endpoint._replace(output_limit=output_limit_of(model_id))
    kind = next((kind for part, kind in OPERATIONS_BY_MODEL if part in model_id), names.CHAT)
    endpoint = endpoint._replace(operation=kind)
    if kind in {names.IMAGE_GENERATION, names.RERANK}:
        endpoint = endpoint._replace(said=no_texts)
    name = model_name(model_id)
    # Only an id of its own tells at which price a model is served: its name does not.
    if name is not None and name.startswith("arn:"):
        read = read_invoked_and_model
        endpoint = endpoint._replace(read=read, read_event=read)
    return endpoint


def region_of(model_id: str, client_region: str | None) -> str | None:
    """Where a model is served: in the geography of its inference profile, else in the region of
    its ARN, else in the client's."""
    geography = (model_name(model_id) or "").partition(".")[0]
    if geography in GEOGRAPHIES:
        return geography
    of_arn = model_id.split(":")[3] if model_id.startswith("arn:") else ""
    return of_arn or client_region


_GUARDRAILS: Final = ("ApplyGuardrail", "InvokeGuardrailChecks")

_ENDPOINTS: Final = {
    "Converse": CONVERSE._replace(prompt=prompt_of),
    "ConverseStream": CONVERSE._replace(prompt=prompt_of),
    "InvokeModel": INVOKE._replace(prompt=prompt_of_invoked, content=content_of),
    "InvokeModelWithResponseStream": INVOKE._replace(prompt=prompt_of_invoked, content=content_of),
    "StartAsyncInvoke": STARTED,
    **dict.fromkeys(_GUARDRAILS, GUARDED._replace(read_headers=read_headers)),
}


class BedrockInstrumentor(ClientInstrumentor):
    """Meters the Bedrock clients of `botocore` and `aiobotocore`."""

    package = "botocore"
    verified = (("botocore", ">=1.34.162,<2"), ("aiobotocore", ">=2.15,<4"))
    patches = (
        Patch("botocore.client", "BaseClient._make_api_call", describe, also=patch_botocore),
        Patch(
            "aiobotocore.client",
            "AioBaseClient._make_api_call",
            describe,
            is_async=True,
            also=patch_aiobotocore,
        ),
    )
