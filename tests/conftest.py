"""Fixtures for all tests come from small plugins; this file only names them."""

import os

pytest_plugins = ["databases.fixtures"]

# The simulated provider stands in for OpenAI; a host that nobody has named is not OpenAI.
os.environ.setdefault("SPANMETER_PROVIDER_HOSTS", "127.0.0.1=openai")
