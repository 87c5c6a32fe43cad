"""Files of plans, and how one differs from what is recorded."""

from difflib import unified_diff
from pathlib import Path

from spanmeter.console.bounded_file import content_of
from spanmeter.console.failures import UnusableSetting
from spanmeter.metering.plans.plan import Plan
from spanmeter.metering.plans.plan_file import MAX_BYTES, PlanError, read_plan


def plan_of(path: Path) -> Plan:
    """The plan of a file. Raises `UnusableSetting`, which names charge and key."""
    try:
        return read_plan(content_of(path, MAX_BYTES).decode("utf-8-sig"))
    except (PlanError, ValueError) as error:
        raise UnusableSetting(f"{path}: {error}") from error
    except OSError as error:
        raise UnusableSetting(f"{path} cannot be read: {error.strerror}") from error


def difference(before: str, before_name: str, after: str, after_name: str) -> str:
    """The lines that differ, as `diff -u` shows them; nothing where none do."""
    old, new = before.splitlines(), after.splitlines()
    return "\n".join(unified_diff(old, new, before_name, after_name, lineterm=""))
