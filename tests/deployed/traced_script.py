"""A program whose client library traces itself, and is metered by that alone: `python -m deployed.traced_script WHEN`.

WHEN is `by_environment` where `opentelemetry-instrument` has set all up, and else whether the application's
own tracer provider is set `before` or `after` metering is switched on. It prints the ids of the responses
it was given, a line each.
"""

from __future__ import annotations

import sys
from typing import Any

import anthropic
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

# As applications do, before anything of ours could have replaced it.
from opentelemetry.trace import set_tracer_provider

from spanmeter.instrumentation import instrument, usage
from spanmeter.instrumentation.clients.anthropic import AnthropicInstrumentor

CUSTOMERS = ["acme", "globex"]


def ask(client: Any, customer: str) -> str:
    message = client.messages.create(
        model="claude-haiku-4-5",
        max_tokens=60,
        messages=[{"role": "user", "content": f"for {customer}"}],
    )
    return str(message.id)


def main(when: str) -> None:
    tracer = trace.get_tracer("app")
    if when == "before":
        set_tracer_provider(TracerProvider(sampler=ALWAYS_OFF))
    if when != "by_environment":
        instrument()
        AnthropicInstrumentor().uninstrument()
    if when == "after":
        set_tracer_provider(TracerProvider(sampler=ALWAYS_OFF))
    client = anthropic.Anthropic()
    for customer in CUSTOMERS:
        with usage(tenant_id=customer), tracer.start_as_current_span("work"):
            print(customer, ask(client, customer), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
