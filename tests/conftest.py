"""Fixtures for all tests come from small plugins; this file only names them."""

import os
import sys

import hypothesis

pytest_plugins = ["databases.fixtures"]

# The simulated provider stands in for OpenAI; a host that nobody has named is not OpenAI.
os.environ.setdefault("SPANMETER_PROVIDER_HOSTS", "127.0.0.1=openai")

# Tests read the spans that the application's tracing gets. What the pipeline does with records is
# tested where it is switched on: in programs of their own.
os.environ.setdefault("SPANMETER_EXPORTER", "none")

# Images of Python set this, for processes that start once. Tests start hundreds, and each would compile anew all that
# it imports, for most of its time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

if "SPANMETER_FUZZ_SECONDS" in os.environ:
    # `make fuzz`: about as many examples as fit in the time, of those tests that are about any input at all.
    examples = int(float(os.environ["SPANMETER_FUZZ_SECONDS"]) * 60)
    hypothesis.settings.register_profile(
        "long",
        max_examples=examples,
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    hypothesis.settings.load_profile("long")
