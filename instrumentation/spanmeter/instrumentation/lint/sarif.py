"""Findings as SARIF 2.1.0 (OASIS), which code hosts show beside the lines that they are about.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

import json
from typing import Any, Final
from urllib.parse import quote

from spanmeter.instrumentation.lint.findings import RULES, Finding, Findings, Place
from spanmeter.instrumentation.version import VERSION

SCHEMA: Final = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_ROOT: Final = "%SRCROOT%"
_RULE_IDS: Final = list(RULES)


def as_sarif(findings: Findings) -> str:
    """One run. What was ignored is in it, as suppressed in source, with its reason."""
    run = {
        "tool": {"driver": _driver()},
        "columnKind": "unicodeCodePoints",
        "results": [_result(each) for each in sorted([*findings.found, *findings.ignored])],
    }
    document = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _driver() -> dict[str, Any]:
    rules = [
        {
            "id": rule,
            "shortDescription": {"text": text},
            "defaultConfiguration": {"level": "error"},
        }
        for rule, text in RULES.items()
    ]
    return {"name": "spanmeter", "version": VERSION, "rules": rules}


def _result(finding: Finding) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": finding.rule,
        "ruleIndex": _RULE_IDS.index(finding.rule),
        "level": "error",
        "message": {"text": _message(finding)},
        "locations": [_location(finding.place)],
    }
    if finding.way:
        steps = [
            {"location": {**_location(step.place), "message": {"text": step.function}}}
            for step in finding.way
        ]
        result["codeFlows"] = [{"threadFlows": [{"locations": steps}]}]
    if finding.ignored:
        result["suppressions"] = [{"kind": "inSource", "justification": finding.ignored}]
    return result


def _message(finding: Finding) -> str:
    if not finding.way:
        return finding.message
    first = finding.way[0]
    return f"{finding.message}: it is reached from {first.function}, {first.why}"


def _location(place: Place) -> dict[str, Any]:
    absolute = place.file.startswith("/")
    artifact = (
        {"uri": f"file://{quote(place.file)}"}
        if absolute
        else {"uri": quote(place.file.removeprefix("./")), "uriBaseId": _ROOT}
    )
    region = {"startLine": place.line, "startColumn": place.column}
    return {"physicalLocation": {"artifactLocation": artifact, "region": region}}
