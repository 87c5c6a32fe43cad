"""What a person decides of exports that did not go as they should."""

from spanmeter.console.failures import JobFailed
from spanmeter.storage import exports
from spanmeter.storage.connection import Connection
from spanmeter.storage.exports import Intent


def give_up(connection: Connection, target: str, beginning: str | None) -> int:
    """Have what was refused planned anew; return how many those are."""
    return exports.supersede(connection, target, beginning)


def decide(connection: Connection, target: str, beginning: str, *, delivered: bool) -> None:
    """Note what somebody found out of an ambiguous one: one that is not there is sent again. Raises `JobFailed`."""
    intent = _ambiguous(connection, target, beginning)
    if delivered:
        exports.settle(
            connection, intent.dedupe_id, "confirmed", reason="somebody found it at the target"
        )
    else:
        unknown = intent._replace(first_sent_at=None)
        exports.note_not_taken(connection, unknown, "somebody did not find it at the target")


def _ambiguous(connection: Connection, target: str, beginning: str) -> Intent:
    found = [each for each in exports.named(connection, beginning) if each.target == target]
    if len(found) != 1:
        raise JobFailed(
            f"{len(found) or 'no'} exports to {target} have an ID that begins with {beginning!r}"
        )
    if found[0].state not in ("ambiguous", "sent"):
        raise JobFailed(f"the export is {found[0].state}, so that there is nothing to find out")
    return found[0]
