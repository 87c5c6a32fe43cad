"""What is reported, how, and what is left out: the command as it is run."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from spanmeter.console.cli import main
from spanmeter.instrumentation.lint import lint
from spanmeter.instrumentation.lint.findings import RULES
from unit.instrumentation.lint.projects import PREAMBLE, found_in, linted, write

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[3]
HELPDESK = HERE / "helpdesk"

CALL = "client.chat.completions.create(**create)"


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["lint", *map(str, arguments)])


def test_of_17_call_sites_the_3_that_nothing_covers_are_found() -> None:
    findings = lint([HELPDESK])
    assert findings.call_sites == 17
    marked = [
        (file.as_posix(), number)
        for file in sorted(HELPDESK.glob("*.py"))
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if line.endswith("# UNCOVERED")
    ]
    assert [(each.place.file, each.place.line) for each in findings.found] == marked
    assert len(marked) == 3


def test_our_own_examples_have_none() -> None:
    findings = lint([REPOSITORY / "examples"])
    assert findings.found == []
    assert findings.call_sites >= 7


def test_the_way_to_a_call_is_told() -> None:
    rewriting = run(HELPDESK).stdout.partition("answering.py:33")[0].splitlines()
    assert rewriting[0].endswith("no usage context covers openai responses.create [uncovered]")
    assert [line.split()[1] for line in rewriting[1:5]] == [
        "top",
        "nightly",
        "tidy",
        "Answering.rewrite",
    ]


@pytest.mark.parametrize(
    ("code", "exit_code", "last"),
    [
        (CALL, 1, "1 finding: 1 call site in 1 file"),
        (f"{CALL}\n{CALL}", 1, "2 findings: 2 call sites in 1 file"),
        ("", 0, "0 findings: 0 call sites in 1 file"),
    ],
)
def test_text_ends_with_a_sum_and_the_exit_code_tells(
    tmp_path: Path, code: str, exit_code: int, last: str
) -> None:
    write(tmp_path, {"app.py": PREAMBLE + code})
    ran = run(tmp_path)
    assert (ran.exit_code, ran.stdout.splitlines()[-1]) == (exit_code, last)


@pytest.mark.parametrize("arguments", [[], ["nowhere"], [".", "--format", "xml"], ["--bogus", "."]])
def test_bad_usage(arguments: list[str]) -> None:
    ran = run(*arguments)
    assert ran.exit_code == 2
    assert "Error: " in ran.stderr


def test_a_reason_leaves_a_call_be(tmp_path: Path) -> None:
    code = f"{CALL}  # spanmeter: ignore[uncovered] paid by the provider\n"
    findings = linted(tmp_path, {"app.py": PREAMBLE + code})
    assert findings.found == []
    assert [each.ignored for each in findings.ignored] == ["paid by the provider"]
    assert run(tmp_path).stdout == "0 findings, 1 ignored: 1 call site in 1 file\n"


@pytest.mark.parametrize(
    "comment", ["ignore[uncovered]", "ignore", "ignore it is free", "ignore[other] it is free"]
)
def test_an_ignore_without_rule_and_reason_has_no_effect_and_is_reported(
    tmp_path: Path, comment: str
) -> None:
    findings = linted(tmp_path, {"app.py": f"{PREAMBLE}{CALL}  # spanmeter: {comment}\n"})
    assert [each.rule for each in findings.found] == ["uncovered", "unexplained-ignore"]
    assert findings.ignored == []


def test_text_that_only_mentions_an_ignore_is_none(tmp_path: Path) -> None:
    code = f'{PREAMBLE}text = """\n# spanmeter: ignore\n"""\n'
    assert linted(tmp_path, {"app.py": code}).found == []


def test_what_cannot_be_read_is_reported_and_the_rest_is_read(tmp_path: Path) -> None:
    write(tmp_path, {"good.py": PREAMBLE + CALL, "bad.py": "import openai\nclient = (\n"})
    (tmp_path / "null.py").write_bytes(b"import openai\n\0")
    (tmp_path / "latin.py").write_bytes(b"import openai\nx = '\xe9'\n")
    (tmp_path / "declared.py").write_bytes(b"# coding: latin-1\nimport openai\nx = '\xe9'\n")
    assert found_in(tmp_path, "uncovered") == ["good.py:5"]
    assert [place.partition(":")[0] for place in found_in(tmp_path, "unreadable")] == [
        "bad.py",
        "latin.py",
        "null.py",
    ]
    assert run(tmp_path).exit_code == 1


def test_deep_code_is_read(tmp_path: Path) -> None:
    long = " + ".join(["x"] * 3000)
    stars = {f"m{n}.py": f"from m{1 - n} import *\nimport openai\nmissing()\n" for n in (0, 1)}
    findings = linted(tmp_path, {"app.py": f"{PREAMBLE}x = 1\ny = {long}\n{CALL}\n", **stars})
    assert [each.rule for each in findings.found] == ["uncovered"]


def test_columns_count_characters(tmp_path: Path) -> None:
    (found,) = linted(tmp_path, {"app.py": f"{PREAMBLE}ä = 'ü'; {CALL}\n"}).found
    assert (found.place.line, found.place.column) == (5, 10)


def test_directories_that_hold_no_source_are_left_out(tmp_path: Path) -> None:
    code = PREAMBLE + CALL
    names = [
        "src/a.py",
        ".venv/b.py",
        "build/c.py",
        "node_modules/d.py",
        "tests/e.py",
        "src/f_gen.py",
    ]
    write(tmp_path, {**dict.fromkeys(names, code), "own/pyvenv.cfg": "", "own/g.py": code})
    assert found_in(tmp_path, "uncovered") == ["a.py:5", "f_gen.py:5", "e.py:5"]
    ran = run(tmp_path, "--exclude", "tests", "--exclude", "*_gen.py")
    assert ran.stdout.count("[uncovered]") == 1
    assert "src/a.py:5:1:" in ran.stdout


def test_imports_within_packages_are_followed(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "shop/__init__.py": "",
            "shop/llm/__init__.py": "from .service import Service as Assistant\n",
            "shop/llm/service.py": "from ..clients import client\n"
            "class Service:\n"
            "    def ask(self): client.embeddings.create()\n"
            "    def leave(self): client.embeddings.create()\n",
            "shop/clients.py": "import openai as provider\nclient = provider.AsyncOpenAI()\n",
            "shop/jobs.py": "from shop.llm import Assistant\nfrom spanmeter.instrumentation import usage\n"
            "with usage(tenant_id='acme'): Assistant().ask()\n"
            "Assistant().leave()\n",
        },
    )
    assert found_in(tmp_path, "uncovered") == ["service.py:4"]


def test_json(tmp_path: Path) -> None:
    write(tmp_path, {"app.py": f"{PREAMBLE}def ask():\n    {CALL}\n"})
    document = json.loads(run(tmp_path, "--format", "json").stdout)
    (found,) = document["findings"]
    assert found["file"].endswith("app.py")
    assert (found["rule"], found["line"], found["column"]) == ("uncovered", 6, 5)
    assert [(step["function"], step["why"]) for step in found["way"]] == [
        ("ask", "nothing here calls it")
    ]
    assert (document["files"], document["call_sites"], document["ignored"]) == (1, 1, [])


def test_sarif(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the specification's schema requires, and what it says of each value."""
    monkeypatch.chdir(tmp_path)
    code = f"{CALL}\n{CALL}  # spanmeter: ignore[uncovered] why not\nx = 1  # spanmeter: ignore\n"
    write(tmp_path, {"my app.py": PREAMBLE + code, "bad.py": "import openai("})
    document = json.loads(run(".", "--format", "sarif").stdout)
    assert set(document) == {"$schema", "version", "runs"}
    assert document["version"] == "2.1.0"
    (ran,) = document["runs"]
    driver = ran["tool"]["driver"]
    assert [rule["id"] for rule in driver["rules"]] == list(RULES)
    for rule in driver["rules"]:
        assert rule["shortDescription"]["text"].endswith(".")
    for result in ran["results"]:
        check_result(result, driver["rules"])
    rules = [result["ruleId"] for result in ran["results"]]
    assert sorted(rules) == ["uncovered", "uncovered", "unexplained-ignore", "unreadable"]
    suppressed = [result for result in ran["results"] if "suppressions" in result]
    assert [each["suppressions"] for each in suppressed] == [
        [{"kind": "inSource", "justification": "why not"}]
    ]


def check_result(result: dict[str, Any], rules: list[dict[str, Any]]) -> None:
    """A `result` object: sections 3.27 to 3.31 of SARIF 2.1.0."""
    assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
    assert result["level"] in {"none", "note", "warning", "error"}
    assert result["message"]["text"]
    steps = [
        step["location"]
        for flow in result.get("codeFlows", [])
        for thread in flow["threadFlows"]
        for step in thread["locations"]
    ]
    assert bool(steps) == (result["ruleId"] == "uncovered")
    for location in [*result["locations"], *steps]:
        place = location["physicalLocation"]
        assert place["artifactLocation"]["uriBaseId"] == "%SRCROOT%"
        assert place["artifactLocation"]["uri"] in {"my%20app.py", "bad.py"}
        assert place["region"]["startLine"] >= 1
        assert place["region"]["startColumn"] >= 1


def test_500_files_are_read_in_a_second_of_the_processor(tmp_path: Path) -> None:
    """Most files of a product call no model: they are not even parsed."""
    ordinary = (REPOSITORY / "console/spanmeter/console/listing.py").read_text()
    write(tmp_path, {f"part{n % 20}/module{n}.py": ordinary for n in range(493)})
    for file in HELPDESK.glob("*.py"):
        write(tmp_path, {f"unit/instrumentation/lint/helpdesk/{file.name}": file.read_text()})
    began = time.process_time()
    findings = lint([tmp_path])
    assert time.process_time() - began < 1
    assert findings.files == 500
    assert findings.call_sites == 17
