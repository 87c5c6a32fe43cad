"""What a command returns to the command line, which prints it as a table, as JSON or as CSV."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Value = str | bool | int | None


@dataclass(frozen=True, slots=True)
class Answer:
    """Rows under named columns; `about` says what was asked, `notes` what to know.

    `exit_code` is 1 where what was found is a failure. A command that could not do its work raises
    `click.ClickException` instead: one sentence, exit code 1.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Value]]
    about: Mapping[str, Value] = field(default_factory=dict[str, Value])
    notes: Sequence[str] = ()
    exit_code: int = 0
