"""One simulated provider for all these tests, and the real SDKs that talk to it."""

from collections.abc import Generator

import pytest
from anthropic import Anthropic
from openai import OpenAI

from simulated_provider import SimulatedProvider


@pytest.fixture(scope="session")
def running_provider() -> Generator[SimulatedProvider]:
    with SimulatedProvider(deployments={"chat-eu": "gpt-4o-mini"}) as provider:
        yield provider


@pytest.fixture
def provider(running_provider: SimulatedProvider) -> SimulatedProvider:
    """A provider that has seen nothing yet."""
    running_provider.reset()
    return running_provider


@pytest.fixture
def openai_client(provider: SimulatedProvider) -> Generator[OpenAI]:
    with OpenAI(base_url=provider.openai_base_url, api_key="any") as client:
        yield client


@pytest.fixture
def anthropic_client(provider: SimulatedProvider) -> Generator[Anthropic]:
    with Anthropic(base_url=provider.url, api_key="any") as client:
        yield client
