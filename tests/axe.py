"""axe-core, which looks for what keeps people out of a page: from npm, once, into the cache."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Page

from databases.provision import cache
from golden.environments import node, npm_path

_VERSION: Final = "4.14.1"
_RULES: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def script() -> Path:
    """The file to run in a page."""
    directory = cache() / f"axe-core-{_VERSION}"
    found = directory / "node_modules" / "axe-core" / "axe.min.js"
    if not found.exists():
        wanted = [node("npm"), "install", "--prefix", str(directory), f"axe-core@{_VERSION}"]
        quietly = ["--no-audit", "--no-fund", "--silent"]
        subprocess.run([*wanted, *quietly], env=npm_path(), check=True)
    return found


def complaints(page: Page) -> list[str]:
    """What axe finds: a rule and the element, each."""
    # Evaluated, not added as a script: the page allows none but its own.
    page.evaluate(script().read_text())
    found: dict[str, Any] = page.evaluate(
        "rules => axe.run(document, {runOnly: rules, resultTypes: ['violations']})", _RULES
    )
    return [
        f"{each['id']}: {node['html'][:160]} {node.get('failureSummary', '')[:200]}"
        for each in found["violations"]
        for node in each["nodes"]
    ]
