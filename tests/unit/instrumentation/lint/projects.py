"""Projects written down in a test: what the linter must find in them is marked `# !`."""

from __future__ import annotations

import textwrap
from pathlib import Path

from spanmeter.instrumentation.lint import Findings, lint

MARK = "# !"

# What most snippets begin with.
PREAMBLE = """\
from openai import OpenAI
from spanmeter.instrumentation import usage
client = OpenAI()
create = {"model": "gpt-4o-mini", "messages": []}
"""


def write(directory: Path, files: dict[str, str]) -> None:
    """Writes the files of a project into a directory."""
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")


def found_in(directory: Path, *rules: str) -> list[str]:
    """`file:line` of what is found, of these rules."""
    findings = lint([directory])
    return [
        _place(each.place.file, each.place.line) for each in findings.found if each.rule in rules
    ]


def marked_in(directory: Path) -> list[str]:
    """`file:line` of what is marked, in order."""
    return [
        _place(str(path), number)
        for path in sorted(directory.rglob("*.py"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if MARK in line
    ]


def linted(directory: Path, files: dict[str, str]) -> Findings:
    """What is found in these files."""
    write(directory, files)
    return lint([directory])


def _place(file: str, line: int) -> str:
    return f"{Path(file).name}:{line}"
