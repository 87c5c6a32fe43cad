"""`python -m matrix.suites`: runs the unit tests of a client library with other releases of it.

litellm is here alone: its newest releases need an openai older than the one of `make test`.
"""

from __future__ import annotations

import subprocess
import sys

from matrix.environments import ROOT, Version, environment

TESTS = ROOT / "tests" / "unit" / "instrumentation" / "clients"
OF_BUDGETS = ROOT / "tests" / "integration" / "budgets"

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

BESIDE = (*NEEDED, "openai>=3")
VERSIONS = (
    Version("google-genai", "1.75.0", [*BESIDE, "aiohttp"]),
    Version("google-genai", "2.34.0", [*BESIDE, "aiohttp"]),
    Version("cohere", "5.21.1", [*BESIDE, "boto3"]),
    Version("cohere", "6.0.0", [*BESIDE, "boto3"]),
    Version("mistralai", "1.9.11", [*BESIDE, "google-auth", "requests"]),
    Version("mistralai", "2.10.1", [*BESIDE, "google-auth", "requests"]),
    # It brings botocore 1.35.16, here on the older urllib3.
    Version("aiobotocore", "2.15.0", [*BESIDE, "boto3", "urllib3<2"]),
    # The first that can send by httpx.
    Version("aiobotocore", "2.26.0", [*BESIDE, "boto3", "httpx"]),
    Version("together", "2.36.0", BESIDE),
    Version("groq", "0.37.1", BESIDE),
    Version("ollama", "0.4.9", BESIDE),
    Version("litellm", "1.106.2", [*NEEDED, *OF_LITELLM]),
)
# The tests whose names begin otherwise than the library's.
BEGIN = {"google-genai": "google", "aiobotocore": "bedrock"}


def main() -> int:
    """Runs them all; 1 if any test fails."""
    failed = False
    for version in VERSIONS:
        print(f"== {version.sdk} {version.version}", flush=True)
        python = environment(version, f"{ROOT}[collector,embedded]")
        begin = f"test_{BEGIN.get(version.sdk, version.sdk)}*.py"
        tests = map(str, sorted([*TESTS.glob(begin), *OF_BUDGETS.glob(begin)]))
        command = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]
        failed |= subprocess.run(command, cwd=ROOT, check=False).returncode != 0
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
