"""`spanmeter lint`: the calls of LLM clients that no usage context covers, found by reading source.

Nothing of the project is imported or run.
"""

from spanmeter.instrumentation.lint.findings import Finding, Findings
from spanmeter.instrumentation.lint.linting import lint

__all__ = ["Finding", "Findings", "lint"]
