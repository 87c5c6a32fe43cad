"""SQL statements by name, kept in the `.sql` files of the folder `sql`.

A file is a sequence of statements, each headed by its name and a sentence that says what it is for:

    -- insert_events --
    -- Add the staged events that are not booked yet, in the order of their key.
    INSERT INTO ...

`{name}` in a statement is filled in by the caller, with `psycopg.sql`.
"""

import re
from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import LiteralString, cast

from psycopg.sql import SQL

_HEADING = re.compile(r"^-- (\w+) --\n", re.MULTILINE)
_COMMENT = re.compile(r"^\s*--.*\n", re.MULTILINE)


def load(name: str) -> Mapping[str, SQL]:
    """Return the statements of `sql/<name>.sql` by name."""
    return load_file(files("spanmeter.storage").joinpath("sql", f"{name}.sql"))


def load_file(file: Traversable) -> Mapping[str, SQL]:
    """Return the statements of a file by name."""
    _, *parts = _HEADING.split(file.read_text(encoding="utf-8"))
    bodies = (_COMMENT.sub("", part).strip().removesuffix(";") for part in parts[1::2])
    return dict(zip(parts[::2], map(trusted, bodies), strict=True))


def trusted(text: str) -> SQL:
    """Return `text` as SQL: only for text of the program itself or of the system catalog."""
    # mypy takes LiteralString for str, pyright does not.
    return SQL(cast("LiteralString", text))  # type: ignore[redundant-cast]
