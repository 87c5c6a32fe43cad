"""Entering a context and leaving it again, wherever the leaving happens.

A generator or coroutine may be closed by another task or thread than the one that entered, where a
context variable's token cannot be used and the context entered is not the current one. So the way
back is kept in the entered context itself, and is taken only by whoever still finds it there.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from types import MappingProxyType, TracebackType
from typing import Final, Self, cast

from opentelemetry.context import Context, attach, create_key, get_current, get_value

from spanmeter.instrumentation.guard import guarded, report

ENTRY: Final = create_key("spanmeter-entry")


class Entry:
    """One entering of a context, with further values, by an owner; `with` leaves it again.

    `outer` is what was current before.
    """

    __slots__ = ("outer", "owner")

    def __init__(
        self,
        context: Context,
        owner: object = None,
        values: Mapping[str, object] = MappingProxyType({}),
    ) -> None:
        self.owner = owner
        self.outer = get_current()
        # In one go: each `set_value` copies the context.
        attach(Context({**context, **values, ENTRY: self}))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.leave()

    def leave(self) -> None:
        """Makes current again what was current before; does nothing where this entry is not in
        force."""
        try:
            entry = get_current().get(ENTRY)
            while entry is not self:
                if entry is None:
                    return
                entry = get_value(ENTRY, cast("Entry", entry).outer)
            attach(self.outer)
        except Exception as exc:  # noqa: BLE001 - on the way of every call, where a wrapper is felt
            report("Entry.leave", exc)

    @staticmethod
    @guarded
    def leave_last_of(owner: object) -> None:
        """Leaves the owner's innermost entry, and with it any that were entered inside and not
        left."""
        entry = cast("Entry | None", get_value(ENTRY))
        while entry is not None and entry.owner is not owner:
            entry = cast("Entry | None", get_value(ENTRY, entry.outer))
        if entry is not None:
            attach(entry.outer)


def within(context: Context) -> AbstractContextManager[object]:
    """For `with`: a context, for what is done in it whether or not it can be entered."""
    return _entered(context) or nullcontext()


@guarded
def _entered(context: Context) -> Entry | None:
    return Entry(context)
