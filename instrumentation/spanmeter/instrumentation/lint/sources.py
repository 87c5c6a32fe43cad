"""The files to look at, and what they hold."""

import ast
import os
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

EXCLUDED: Final = frozenset(
    {"__pycache__", "build", "dist", "env", "node_modules", "site-packages", "venv"}
)
"""Directories that hold no source of the project. Those that begin with a dot do not either."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file, or a line of it, that Python could not read."""

    file: str
    line: int
    column: int
    why: str


@dataclass(eq=False, slots=True)
class Source:
    """One file; `file` is how it is shown."""

    path: Path
    file: str
    raw: bytes
    _tree: ast.Module | None = field(default=None, repr=False)

    @property
    def folder(self) -> str:
        """The directory that it is in, as it is shown."""
        return self.file.rpartition("/")[0]

    @property
    def tree(self) -> ast.Module:
        """The syntax tree; raises `SyntaxError` (or `ValueError` for a null byte)."""
        if self._tree is None:
            self._tree = ast.parse(self.raw, filename=self.file)
        return self._tree

    @property
    def lines(self) -> list[str]:
        """The text, line by line, in the encoding that the file declares."""
        with tokenize.open(self.path) as opened:
            return opened.read().splitlines()


def sources(paths: Iterable[Path], exclude: Iterable[str]) -> Iterator[Source | Unreadable]:
    """Every Python file at or below these paths, once, in the order of their names.

    `exclude` are globs that a path, as it is shown, or one of its parts, matches. A file that is
    named itself is looked at in any directory.
    """
    patterns = tuple(exclude)
    seen: set[Path] = set()
    for path in paths:
        for found in _below(path, patterns) if path.is_dir() else [path]:
            resolved = found.resolve()
            if resolved not in seen and not _matches(found, patterns):
                seen.add(resolved)
                yield _read(found)


def _below(directory: Path, patterns: tuple[str, ...]) -> Iterator[Path]:
    for parent, folders, files in os.walk(directory):
        here = Path(parent)
        folders[:] = sorted(
            name
            for name in folders
            if name not in EXCLUDED
            and not name.startswith(".")
            and not _is_environment(here / name)
            and not _matches(here / name, patterns)
        )
        yield from (here / name for name in sorted(files) if name.endswith(".py"))


def _is_environment(directory: Path) -> bool:
    return (directory / "pyvenv.cfg").exists()


def _matches(path: Path, patterns: tuple[str, ...]) -> bool:
    shown = path.as_posix()
    names = [shown, *path.parts]
    return any(
        fnmatch(name, pattern.rstrip("/")) or fnmatch(shown, f"*/{pattern.rstrip('/')}")
        for pattern in patterns
        for name in names
    )


def _read(path: Path) -> Source | Unreadable:
    try:
        return Source(path, path.as_posix(), path.read_bytes())
    except OSError as error:
        return Unreadable(path.as_posix(), 1, 1, f"cannot be read: {error.strerror}")
