"""`python -m documentation DIRECTORY`: what the site is built from: the pages of `docs/`, and the reference."""

from __future__ import annotations

import re
import shutil
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from databases.fixtures import Databases
from databases.templates import fresh_database
from documentation.reference import pages

DOCS: Final = Path(__file__).parents[2] / "docs"

_OUTSIDE: Final = re.compile(r"\[`?([^\]`]+)`?\]\(\.\./[^)]*\)")


def write(directory: Path, dsn: str) -> None:
    """Write all pages into an empty directory; `dsn` is of a migrated ledger.

    A link that leads out of `docs/`, to what is in the source and not on the site, becomes the name of that.
    """
    made = {page.name: _OUTSIDE.sub(r"`\1`", page.read_text()) for page in DOCS.glob("*.md")}
    for path, content in (made | dict(pages(dsn))).items():
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_text(content)


def main(arguments: list[str]) -> int:
    """Run the command; return the exit code."""
    if len(arguments) != 1:
        print("usage: python -m documentation DIRECTORY", file=sys.stderr)
        return 2
    directory = Path(arguments[0])
    shutil.rmtree(directory, ignore_errors=True)
    with ExitStack() as servers:
        databases = Databases(servers)
        template = databases.template("timescale")
        ledger = fresh_database(databases.server("timescale"), template)
        write(directory, servers.enter_context(ledger))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
