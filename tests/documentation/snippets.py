"""What the pages tell people to type: every fenced block, in the order of its page."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

DOCS: Final = Path(__file__).parents[2] / "docs"

_FENCE: Final = re.compile(
    r"(?:^<!-- not run: (?P<reason>[^\n]+) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


class Block(NamedTuple):
    """One fenced block: where it begins, and why it is not run, where a comment before it says so."""

    page: str
    line: int
    language: str
    text: str
    reason: str | None

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """The blocks of a page."""
    text = page.read_text()
    return [
        Block(
            page.name,
            text.count("\n", 0, found.start("text")),
            found["language"],
            found["text"],
            found["reason"],
        )
        for found in _FENCE.finditer(text)
    ]


def command_lines(block: Block) -> Iterator[list[str]]:
    """The words of each command of a block of the shell; where it has prompts, without what is printed."""
    lines = block.text.replace("\\\n", " ").splitlines()
    if block.language == "console":
        lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    text = "\n".join(lines)
    for line in _whole(text):
        if words := shlex.split(line, comments=True):
            yield words


def _whole(text: str) -> Iterator[str]:
    """Lines, those of one quoted text together."""
    held = ""
    for line in text.splitlines():
        held += line
        if held.count("'") % 2 == 0:
            yield held
            held = ""
        else:
            held += "\n"
