"""One question for a customer, by a client that is made when the application is loaded."""

from __future__ import annotations

import os
from typing import Any

from openai import OpenAI

client: Any = OpenAI()


def ask(customer: str) -> dict[str, Any]:
    """The id of the answer, who it was for, and the process that asked."""
    completion = client.chat.completions.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": f"for {customer}"}]
    )
    return {"id": completion.id, "customer": customer, "process": os.getpid()}
