"""How a command fails: one sentence on standard error, and an exit code that a script can act on.

    click.ClickException
      +- JobFailed          1  the work could not be done: what, where, what to do
      +- UnusableSetting    2  a flag, variable or file holds something that cannot be used
      +- MissingExtra       2  an optional part is not installed

Any other exception is a defect of ours and shows its traceback.
"""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import ClassVar, Final, cast

import click

_EXPECTED: Final = (
    ("spanmeter.storage.errors", "StorageError"),
    ("spanmeter.metering.billable_conditions", "RulesError"),
    ("spanmeter.metering.budgets.budget", "BudgetError"),
    ("spanmeter.metering.statements.course", "TwoCurrencies"),
    ("spanmeter.metering.alerts.fields", "AlertRulesError"),
    ("spanmeter.collector_receiver.server", "CannotListen"),
    ("spanmeter.collector_receiver.journal", "CannotJournal"),
    ("spanmeter.console.demo.processes", "ChildFailed"),
    ("spanmeter.console.bills.provider_api", "ProviderRefused"),
    ("spanmeter.metering.reconciliation.bill", "UnreadableBill"),
)


class JobFailed(click.ClickException):
    """The work could not be done. The message is one sentence: what is wrong, where, what to do."""

    exit_code: ClassVar[int] = 1


class UnusableSetting(click.ClickException):
    """A flag, variable or settings file holds something that cannot be used."""

    exit_code: ClassVar[int] = 2


class MissingExtra(click.ClickException):
    """An optional part that the command needs is not installed."""

    exit_code: ClassVar[int] = 2


@contextmanager
def explained() -> Generator[None]:
    """Turn what the layers below expect to go wrong, and say in a sentence, into a `JobFailed`."""
    try:
        yield
    except _expected() as error:
        raise JobFailed(str(error)) from error


def _expected() -> tuple[type[Exception], ...]:
    # Found among what is loaded: a module that was never imported cannot have raised anything.
    return tuple(
        cast(type[Exception], getattr(sys.modules[module], name))
        for module, name in _EXPECTED
        if module in sys.modules
    )
