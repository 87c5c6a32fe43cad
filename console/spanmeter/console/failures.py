"""How a command fails: one sentence on standard error, and an exit code that a script can act on.

    click.ClickException
      +- JobFailed          1  the work could not be done: what, where, what to do
      +- UnusableSetting    2  a flag, variable or file holds something that cannot be used
      +- MissingExtra       2  an optional part is not installed

Any other exception is a defect of ours and shows its traceback.
"""

from typing import ClassVar

import click


class JobFailed(click.ClickException):
    """The work could not be done. The message is one sentence: what is wrong, where, what to do."""

    exit_code: ClassVar[int] = 1


class UnusableSetting(click.ClickException):
    """A flag, variable or settings file holds something that cannot be used."""

    exit_code: ClassVar[int] = 2


class MissingExtra(click.ClickException):
    """An optional part that the command needs is not installed."""

    exit_code: ClassVar[int] = 2
