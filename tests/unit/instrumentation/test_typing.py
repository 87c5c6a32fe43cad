"""What a type checker refuses before the code runs: a call without a tenant, a dimension that is none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

GOOD = """
from dataclasses import dataclass
from collections.abc import AsyncIterator
from spanmeter.instrumentation import UsageContext, current_usage, refine, usage

@dataclass(frozen=True, kw_only=True)
class AcmeUsage(UsageContext):
    department: str

@usage(tenant_id="acme")
async def decorated(number: int) -> AsyncIterator[str]:
    yield str(number)

def asks(number: int) -> str:
    return str(number)

async def works() -> None:
    async with usage(AcmeUsage(tenant_id="acme", department="legal")):
        async for text in decorated(7):
            text.upper()
    usage.carry(asks)(3).upper()
    headers: dict[str, str] = {}
    usage.inject(headers)
    with usage.extract(headers), refine(feature="search"):
        found = AcmeUsage.current()
        print(found.department if found else None, current_usage())
"""

BAD = {
    "no tenant": 'usage(feature="search")',
    "no tenant at all": "usage()",
    "a tenant that is no text": "usage(tenant_id=7)",
    "a misspelt dimension": 'usage(tenant_id="acme", featrue="search")',
    "no such account type": 'usage(tenant_id="acme", account_type="gold")',
    "a context without a tenant": 'AcmeUsage(department="legal")',
    "a context without its own": 'AcmeUsage(tenant_id="acme")',
    "a tenant to refine": 'refine(tenant_id="acme")',
    "a decorated function, misused": 'decorated("7")',
    "a carried function, misused": 'usage.carry(asks)("7")',
}

CHECKERS = {"mypy": ["mypy", "--strict"], "pyright": ["pyright", "--pythonpath", sys.executable]}


@pytest.mark.parametrize("checker", CHECKERS.values(), ids=CHECKERS)
def test_type_checkers_accept_what_is_right_and_nothing_else(
    checker: list[str], tmp_path: Path
) -> None:
    snippet = tmp_path / "application.py"
    snippet.write_text(GOOD + "\n" + "\n".join(BAD.values()) + "\n")
    first = GOOD.count("\n") + 2
    program, *options = checker
    checked = subprocess.run(
        [sys.executable, "-m", program, *options, str(snippet)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    errors = {
        int(line.split(":")[1])
        for line in checked.stdout.splitlines()
        if "application.py:" in line and " error" in line
    }
    assert errors == set(range(first, first + len(BAD))), checked.stdout + checked.stderr
