"""From paths to findings."""

import gc
import sys
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from spanmeter.instrumentation.lint.calls import calls_in
from spanmeter.instrumentation.lint.evaluate import Evaluator
from spanmeter.instrumentation.lint.findings import (
    UNCOVERED,
    UNEXPLAINED_IGNORE,
    UNREADABLE,
    Finding,
    Findings,
    Place,
    Step,
)
from spanmeter.instrumentation.lint.graph import CallSite, Graph
from spanmeter.instrumentation.lint.ignores import Ignore, ignores
from spanmeter.instrumentation.lint.judging import UNCALLED, Judge, Stop
from spanmeter.instrumentation.lint.lookup import Calls
from spanmeter.instrumentation.lint.project import Project
from spanmeter.instrumentation.lint.scopes import Scope
from spanmeter.instrumentation.lint.sources import Source, Unreadable, sources
from spanmeter.instrumentation.lint.survey import Surveyor

_ROUNDS: Final = 2
"""Whom a function calls may hang on what it is given by one that was given something itself."""
_RECURSION: Final = 20_000

Judged = list[tuple[CallSite, "list[Stop] | None"]]


def lint(paths: Iterable[Path], exclude: Iterable[str] = ()) -> Findings:
    """Finds the LLM calls in the Python files at or below these paths that nothing covers.

    `exclude` are globs of paths to leave out. What cannot be read is among the findings.
    """
    with _without_collection(), _deep():
        found = list(sources(paths, exclude))
        project = Project(each for each in found if isinstance(each, Source))
        judged = _judged(project)
        unreadable = [each for each in found if isinstance(each, Unreadable)]
        findings = [
            *(_uncovered(site, way) for site, way in judged if way is not None),
            *map(_unreadable, [*unreadable, *project.unreadable]),
        ]
        kept, ignored = _without_ignored(project, findings)
    return Findings(sorted(kept), sorted(ignored), len(found), len(judged))


@contextmanager
def _without_collection() -> Generator[None]:
    """Syntax trees are many objects and no garbage: looking for some takes as long as parsing."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@contextmanager
def _deep() -> Generator[None]:
    """Long sums and chains, as generated code has them, are deep trees."""
    usual = sys.getrecursionlimit()
    sys.setrecursionlimit(max(usual, _RECURSION))
    try:
        yield
    finally:
        sys.setrecursionlimit(usual)


def _judged(project: Project) -> Judged:
    """Every call site, and the way to it that nothing covers.

    Only files that can matter are read: those that mention a client library, and those that import
    them. A method can be called without importing its class: where nothing seems to call one,
    whoever mentions its name can matter too.
    """
    relevant = project.mentioning()
    while True:
        judged = _judge(project, relevant)
        begins = [way[0] for _, way in judged if way and way[0].why == UNCALLED]
        names = {stop.scope.name for stop in begins if stop.scope.method_of is not None}
        more = project.with_importers(project.using(names)) - relevant if names else None
        if not more:
            return judged
        relevant |= more


def _judge(project: Project, relevant: set[Source]) -> Judged:
    ordered = [source for source in project.sources if source in relevant]
    modules = [scope for source in ordered if (scope := project.scope(source)) is not None]
    graph, evaluator = _surveyed(project, modules)
    judge = Judge(graph, evaluator)
    return [(site, judge.uncovered_way(site)) for site in graph.sites]


def _surveyed(project: Project, modules: list[Scope]) -> tuple[Graph, Evaluator]:
    """What functions are called with tells what their parameters are, and so whom they call."""
    evaluator = _evaluator(project, {}, modules)
    for _ in range(_ROUNDS):
        evaluator = _evaluator(project, calls_in(modules, evaluator), modules)
    surveyor = Surveyor(evaluator)
    for module in modules:
        surveyor.survey(module, module)
    surveyor.graph.web.settle()
    return surveyor.graph, evaluator


def _evaluator(project: Project, calls: Calls, modules: list[Scope]) -> Evaluator:
    evaluator = Evaluator(project, calls)
    evaluator.learn_classes(modules)
    return evaluator


def _uncovered(site: CallSite, way: list[Stop]) -> Finding:
    name = f"{site.library.name} {'.'.join(site.path)}"
    steps = tuple(_step(stop) for stop in way)
    source = site.owner.source
    place = Place(
        source.file, site.node.lineno, _column(source, site.node.lineno, site.node.col_offset)
    )
    return Finding(UNCOVERED, place, f"no usage context covers {name}", steps)


def _step(stop: Stop) -> Step:
    name = "top level" if stop.scope.kind == "module" else stop.scope.qualified_name
    return Step(Place(stop.scope.source.file, stop.line), name, stop.why)


def _column(source: Source, line: int, offset: int) -> int:
    """From the tree's offset in bytes of UTF-8."""
    text = source.lines[line - 1].encode("utf-8", "replace")
    return len(text[:offset].decode("utf-8", "replace")) + 1


def _unreadable(each: Unreadable) -> Finding:
    return Finding(UNREADABLE, Place(each.file, each.line, each.column), each.why)


def _without_ignored(
    project: Project, findings: Iterable[Finding]
) -> tuple[list[Finding], list[Finding]]:
    comments = {source.file: _ignores(source) for source in project.sources}
    kept = [
        _unexplained(file, each)
        for file, all_of in comments.items()
        for each in all_of.values()
        if each.problem
    ]
    ignored: list[Finding] = []
    for finding in findings:
        comment = comments.get(finding.place.file, {}).get(finding.place.line)
        if finding.rule == UNCOVERED and comment is not None and not comment.problem:
            ignored.append(finding._replace(ignored=comment.reason))
        else:
            kept.append(finding)
    return kept, ignored


def _ignores(source: Source) -> dict[int, Ignore]:
    try:
        return ignores(source)
    except (SyntaxError, ValueError):
        return {}  # it is among the unreadable


def _unexplained(file: str, ignore: Ignore) -> Finding:
    return Finding(UNEXPLAINED_IGNORE, Place(file, ignore.line, ignore.column), ignore.problem)
