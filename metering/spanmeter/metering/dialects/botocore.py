"""OpenTelemetry's instrumentations of the AWS SDKs: Bedrock as `chat`, with Bedrock's own exclusive counts.

Source: opentelemetry-instrumentation-botocore 0.66b2, `extensions/bedrock.py`; of JavaScript
@opentelemetry/instrumentation-aws-sdk, `services/bedrock-runtime.ts`.
"""

from dataclasses import replace

from spanmeter.metering.dialects.dialect import Case, Counting
from spanmeter.metering.dialects.opentelemetry import OPENTELEMETRY

# Bodies are Anthropic's own, and what was read from or written to its cache is passed over; of
# Command R and Mistral the texts are counted instead, at six characters a token.
NOT_COUNTED = r"(.*[/.])?(anthropic|cohere|mistral)\."

BOTOCORE = replace(
    OPENTELEMETRY,
    name="botocore",
    scopes=("opentelemetry.instrumentation.botocore", "@opentelemetry/instrumentation-aws-sdk"),
    counting=((Case(provider="aws.bedrock"), Counting(input="beside_cache")),),
    estimates=tuple(
        Case(model=NOT_COUNTED, saying={"rpc.method": method})
        for method in ("InvokeModel", "InvokeModelWithResponseStream")
    ),
)
