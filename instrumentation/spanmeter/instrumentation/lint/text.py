"""Findings for people, and as JSON for programs."""

import json
from collections.abc import Iterator

from spanmeter.instrumentation.lint.findings import Finding, Findings, Place


def as_text(findings: Findings) -> str:
    """A line for each finding, as compilers write them, with the way to it below; a sum at the end."""
    lines = [line for finding in findings.found for line in _lines(finding)]
    return "\n".join([*lines, _sum(findings)]) + "\n"


def as_json(findings: Findings) -> str:
    """One object: `findings`, `ignored`, and how many `files` and `call_sites` were looked at."""
    document = {
        "findings": [_object(each) for each in findings.found],
        "ignored": [_object(each) for each in findings.ignored],
        "files": findings.files,
        "call_sites": findings.call_sites,
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _lines(finding: Finding) -> Iterator[str]:
    yield f"{_shown(finding.place)}: {finding.message} [{finding.rule}]"
    for step in finding.way:
        why = f" ({step.why})" if step.why else ""
        yield f"    {step.place.file}:{step.place.line} {step.function}{why}"


def _shown(place: Place) -> str:
    return f"{place.file}:{place.line}:{place.column}"


def _sum(findings: Findings) -> str:
    files = f"{findings.files} file{'' if findings.files == 1 else 's'}"
    sites = f"{findings.call_sites} call site{'' if findings.call_sites == 1 else 's'}"
    ignored = f", {len(findings.ignored)} ignored" if findings.ignored else ""
    count = len(findings.found)
    return f"{count} finding{'' if count == 1 else 's'}{ignored}: {sites} in {files}"


def _object(finding: Finding) -> dict[str, object]:
    way = [
        {**step.place._asdict(), "function": step.function, "why": step.why} for step in finding.way
    ]
    found = {"rule": finding.rule, **finding.place._asdict(), "message": finding.message}
    return {**found, "way": way, **({"reason": finding.ignored} if finding.ignored else {})}
