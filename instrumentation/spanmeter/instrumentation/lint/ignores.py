"""Comments that leave a call site be: `# spanmeter: ignore[uncovered] metered by the gateway`.

The reason is required: whoever reads the comment later has to tell whether it still holds.
"""

import io
import re
import tokenize
from typing import Final, NamedTuple

from spanmeter.instrumentation.lint.findings import UNCOVERED
from spanmeter.instrumentation.lint.sources import Source

_MARK: Final = re.compile(r"#\s*spanmeter:\s*ignore\b(?:\[([^\]]*)\])?(.*)")


class Ignore(NamedTuple):
    """A comment on a line; `problem` says why it has no effect, where it has none."""

    line: int
    column: int
    reason: str
    problem: str = ""


def ignores(source: Source) -> dict[int, Ignore]:
    """The comments of a file, by line."""
    if b"spanmeter:" not in source.raw:
        return {}
    found: dict[int, Ignore] = {}
    for token in tokenize.tokenize(io.BytesIO(source.raw).readline):
        mark = _MARK.match(token.string) if token.type == tokenize.COMMENT else None
        if mark is not None:
            line, column = token.start
            found[line] = _read(line, column + 1, mark[1], mark[2].strip(" -:\t"))
    return found


def _read(line: int, column: int, rules: str | None, reason: str) -> Ignore:
    if rules is None or [rule.strip() for rule in rules.split(",")] != [UNCOVERED]:
        problem = f"an ignore names the rule that it is for: ignore[{UNCOVERED}]"
        return Ignore(line, column, reason, problem)
    if not reason:
        problem = f"an ignore gives a reason: # spanmeter: ignore[{UNCOVERED}] why it is right"
        return Ignore(line, column, reason, problem)
    return Ignore(line, column, reason)
