"""`python -m matrix.suites`: runs the unit tests of a client library with other releases of it.

litellm is here alone: its newest releases need an openai older than the one of `make test`.
"""

from __future__ import annotations

import subprocess
import sys

from matrix.environments import ROOT, Version, environment

TESTS = ROOT / "tests" / "unit" / "instrumentation" / "clients"

# What the tests themselves need, the SDKs of their fixtures among it.
NEEDED = (
    "anthropic>=2",
    "hypothesis",
    "pytest>=9",
    "pytest-timeout",
    "starlette",
    "uvicorn",
    "websockets",
)
# What litellm imports on the way of some calls, and of its own dependencies leaves out.
OF_LITELLM = ("boto3", "fastapi", "mcp", "openai==2.54.0", "orjson", "tenacity")

VERSIONS = (
    Version("groq", "0.37.1", [*NEEDED, "openai>=3"]),
    Version("ollama", "0.4.9", [*NEEDED, "openai>=3"]),
    Version("litellm", "1.106.2", [*NEEDED, *OF_LITELLM]),
)


def main() -> int:
    """Runs them all; 1 if any test fails."""
    failed = False
    for version in VERSIONS:
        print(f"== {version.sdk} {version.version}", flush=True)
        python = environment(version, f"{ROOT}[collector,embedded]")
        tests = TESTS / f"test_{version.sdk}.py"
        command = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tests)]
        failed |= subprocess.run(command, cwd=ROOT, check=False).returncode != 0
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
