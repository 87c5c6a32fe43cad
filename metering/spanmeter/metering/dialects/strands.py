"""Strands Agents: GenAI names, with itself for a provider, and Bedrock's counts beside the cache.

Source: strands-agents, `telemetry/tracer.py`. The agent's span sums up its calls'.
"""

from dataclasses import replace

from spanmeter.metering.dialects.dialect import Case, Counting
from spanmeter.metering.dialects.opentelemetry import OPENTELEMETRY

STRANDS = replace(
    OPENTELEMETRY,
    name="strands",
    scopes=("strands", "strands-agents"),
    counting=(
        (Case(provider="aws.bedrock"), Counting(input="beside_cache")),
        (Case(provider="anthropic"), Counting(input="beside_cache")),
    ),
    names_providers=False,
)
