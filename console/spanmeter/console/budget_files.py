"""A file of budgets, for those who keep them in git: what it changes, and putting it in force."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from spanmeter.console.bounded_file import content_of
from spanmeter.console.failures import UnusableSetting
from spanmeter.metering.budgets.book import BudgetBook
from spanmeter.metering.budgets.budget import BudgetError
from spanmeter.metering.budgets.documents import MAX_BYTES, BudgetFile, as_document, read_file
from spanmeter.storage.budgets import remove_budget, set_budget, set_time_zone
from spanmeter.storage.connection import Connection


class Change(NamedTuple):
    """One member of a budget that changes; `member` None: the whole budget. None: there is none."""

    budget: str
    member: str | None
    before: str | None
    after: str | None


TIMEZONE = "timezone of tenant"
"""As `member`: the change is of a tenant's time zone, and `budget` is the tenant."""


def read(file: Path) -> BudgetFile:
    """What a file lays down. Raises UnusableSetting."""
    try:
        return read_file(content_of(file, MAX_BYTES).decode())
    except (BudgetError, UnicodeDecodeError) as error:
        raise UnusableSetting(f"{file}: {error}") from error
    except OSError as error:
        raise UnusableSetting(f"{file} cannot be read: {error.strerror}") from error


def changes_of(book: BudgetBook, wanted: BudgetFile, *, prune: bool) -> list[Change]:
    """What the file changes; budgets that it does not have are left alone unless they are to be pruned."""
    changes: list[Change] = []
    for name, budget in wanted.budgets.items():
        known = book.budgets.get(name)
        after = as_document(budget)
        if known is None:
            changes.append(Change(name, None, None, _shown(after)))
        else:
            changes += _members(name, as_document(known), after)
    if prune:
        gone = [each for each in book.budgets if each not in wanted.budgets]
        changes += (
            Change(name, None, _shown(as_document(book.budgets[name])), None) for name in gone
        )
    for tenant, zone in wanted.timezones.items():
        if book.zones.get(tenant) != zone:
            changes.append(Change(tenant, TIMEZONE, book.zones.get(tenant), zone))
    return changes


def applied(connection: Connection, wanted: BudgetFile, changes: Sequence[Change], by: str) -> None:
    """Put the changes in force, all or none. Raises UnusableSetting, DatabaseUnavailable."""
    try:
        with connection.transaction():
            for tenant, zone in wanted.timezones.items():
                set_time_zone(connection, tenant, zone, by)
            for name in {change.budget: None for change in changes if change.member != TIMEZONE}:
                if name in wanted.budgets:
                    set_budget(connection, wanted.budgets[name], by)
                else:
                    remove_budget(connection, name, by)
    except BudgetError as error:
        raise UnusableSetting(str(error)) from error


def _members(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    return [
        Change(name, member, _shown(before.get(member)), _shown(value))
        for member, value in after.items()
        if before.get(member) != value
    ]


def _shown(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)
