"""A local HTTP server that speaks the wire formats of OpenAI and Anthropic, and keeps the bill.

with SimulatedProvider() as provider:
    client = openai.OpenAI(base_url=provider.openai_base_url, api_key="any")
    provider.enqueue(Reply(status=429), Reply(text="Hello", abort_after=1))
"""

from simulated_provider.prices import Tokens
from simulated_provider.reply import Framing, Reply
from simulated_provider.served import Received, Served
from simulated_provider.server import SimulatedProvider

__all__ = ["Framing", "Received", "Reply", "Served", "SimulatedProvider", "Tokens"]
