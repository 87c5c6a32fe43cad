"""The modules of a project: which file an import means, and which files there is reason to read."""

import ast
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Final

from spanmeter.instrumentation.lint.libraries import MENTION
from spanmeter.instrumentation.lint.scopes import (
    Defined,
    Imported,
    Scope,
    lambda_scope,
    module_scope,
)
from spanmeter.instrumentation.lint.sources import Source, Unreadable
from spanmeter.instrumentation.lint.steps import Step, steps_of

_PACKAGE: Final = "__init__"


class Project:
    """The sources by the names that they are imported by. Their tables are made when asked for."""

    def __init__(self, sources: Iterable[Source]) -> None:
        self.sources = list(sources)
        self.unreadable: list[Unreadable] = []
        self._scopes: dict[Source, Scope | None] = {}
        self._steps: dict[Scope, list[Step]] = {}
        self._lambdas: dict[ast.Lambda, Scope] = {}
        self._imported: dict[tuple[Imported, str], Source | None] = {}
        self._paths = {source: source.path.resolve() for source in self.sources}
        self._by_path = {path: source for source, path in self._paths.items()}
        self._roots = {source: _root(path.parent) for path, source in self._by_path.items()}
        self._by_end: dict[tuple[str, ...], list[Source]] = {}
        for path, source in self._by_path.items():
            parts = _parts(path)
            for start in range(len(parts)):
                self._by_end.setdefault(parts[start:], []).append(source)

    def scope(self, source: Source) -> Scope | None:
        """The table of a module; none, and a note of why, where Python cannot read it."""
        if source not in self._scopes:
            self._scopes[source] = self._read(source)
        return self._scopes[source]

    def steps(self, scope: Scope) -> list[Step]:
        """The steps of a scope's body."""
        if scope not in self._steps:
            self._steps[scope] = steps_of(scope)
        return self._steps[scope]

    def lambda_of(self, node: ast.Lambda, scope: Scope) -> Scope:
        """The scope of a lambda, which is no statement and so in no table."""
        if node not in self._lambdas:
            self._lambdas[node] = lambda_scope(node, scope)
        return self._lambdas[node]

    def imported(self, imported: Imported, importer: Source) -> Source | None:
        """The file of the module that an import names: with dots, or by its full name."""
        key = (imported, importer.folder)
        if key not in self._imported:
            self._imported[key] = self._found(imported, importer)
        return self._imported[key]

    def _found(self, imported: Imported, importer: Source) -> Source | None:
        parts = tuple(filter(None, imported.module.split(".")))
        if imported.dots:
            place = self._paths[importer].parents[imported.dots - 1].joinpath(*parts)
            return self._at(place)
        return self._named(parts, importer)

    def submodule(self, package: Source, name: str) -> Source | None:
        """A module within a package."""
        if package.path.stem != _PACKAGE:
            return None
        return self._at(self._paths[package].parent / name)

    def mentioning(self) -> set[Source]:
        """The files that say anything of a client library, and those that import one of them."""
        return self.with_importers(
            {source for source in self.sources if MENTION.search(source.raw)}
        )

    def using(self, methods: Iterable[str]) -> set[Source]:
        """The files in which an attribute of one of these names is used."""
        return self._with(rb"\.(?:%s)\b", methods)

    def _with(self, form: bytes, names: Iterable[str]) -> set[Source]:
        pattern = re.compile(form % "|".join(map(re.escape, names)).encode())
        return {source for source in self.sources if pattern.search(source.raw)}

    def with_importers(self, sources: set[Source]) -> set[Source]:
        """These and the files that import one of them, directly or not."""
        found = set(sources)
        fresh = found
        while fresh:
            names = {parts[-1] for source in fresh if (parts := _parts(self._paths[source]))}
            candidates = self._with(rb"\b(?:%s)\b", names) - found if names else set[Source]()
            fresh = {each for each in candidates if not found.isdisjoint(self._imports(each))}
            found |= fresh
        return found

    def _imports(self, source: Source) -> Iterator[Source]:
        scope = self.scope(source)
        for imported in _imports_of(scope) if scope is not None else ():
            module = self.imported(imported, source)
            if module is not None:
                yield module
                inner = self.submodule(module, imported.name) if imported.name else None
                if inner is not None:
                    yield inner
            elif imported.name is not None:
                # `from . import chat`, from a directory that is no package.
                name = f"{imported.module}.{imported.name}".lstrip(".")
                inner = self.imported(Imported(name, None, imported.dots), source)
                if inner is not None:
                    yield inner

    def _read(self, source: Source) -> Scope | None:
        try:
            return module_scope(source)
        except (SyntaxError, ValueError, RecursionError) as error:
            line = getattr(error, "lineno", None) or 1
            column = getattr(error, "offset", None) or 1
            why = error.msg if isinstance(error, SyntaxError) else str(error)
            self.unreadable.append(Unreadable(source.file, line, column, why))
            return None

    def _at(self, place: Path) -> Source | None:
        module = self._by_path.get(place.with_name(f"{place.name}.py")) if place.name else None
        return module or self._by_path.get(place / f"{_PACKAGE}.py")

    def _named(self, parts: tuple[str, ...], importer: Source) -> Source | None:
        """By its full name from where the importer's own package begins, or any other; else by the
        end of its path, where only one file has it."""
        if not parts:
            return None
        found = self._by_end.get(parts, [])
        exact = [
            each for each in found if self._roots[each].joinpath(*parts) == _stem(self._paths[each])
        ]
        near = [each for each in exact if self._roots[each] == self._roots[importer]]
        if near or len(exact) == 1:
            return (near or exact)[0]
        # The last name alone, `utils`, is as likely to be an installed package's.
        return found[0] if len(found) == 1 and len(parts) > 1 else None


def _imports_of(scope: Scope) -> Iterator[Imported]:
    yield from scope.stars
    for bindings in list(scope.bindings.values()):
        for binding in bindings:
            if isinstance(binding, Imported):
                yield binding
            elif isinstance(binding, Defined):
                yield from _imports_of(binding.scope)


def _stem(path: Path) -> Path:
    return path.parent if path.stem == _PACKAGE else path.with_suffix("")


def _parts(path: Path) -> tuple[str, ...]:
    """The parts of a module's path, of which the last ones are its name."""
    parts = path.with_suffix("").parts[1:]
    return parts[:-1] if parts[-1] == _PACKAGE else parts


@cache
def _root(directory: Path) -> Path:
    """The directory in which the package that this directory is in begins."""
    is_package = (directory / f"{_PACKAGE}.py").exists()
    return _root(directory.parent) if is_package else directory
