"""The clients, made in the ways that clients are made."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false

from functools import cache
from typing import Any

import boto3  # type: ignore[import-untyped]
from anthropic import Anthropic
from openai import AsyncOpenAI

openai = AsyncOpenAI()
bedrock: Any = boto3.client("bedrock-runtime", region_name="eu-central-1")


@cache
def anthropic() -> Anthropic:
    return Anthropic()
