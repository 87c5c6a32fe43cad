"""Of several descriptions of one call, one counts: which, and what becomes of the others.

The first that was booked counts. One that comes later counts nothing, unless it supersedes the first; then the first
is to be reversed. Within a batch the best counts.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from spanmeter.metering.same_call import (
    describes_child,
    encloses,
    is_inside,
    is_wrapper,
    rank,
    shares_call,
    supersedes,
)
from spanmeter.metering.usage_event import UsageEvent

Key = tuple[bytes, bytes, datetime]
"""Of a usage event: trace, span, time."""


class Booked(NamedTuple):
    """An event of the ledger, and the key of the one that counts in its stead, if one does.

    `matched_child` is the span inside it that was found to describe the same call.
    """

    event: UsageEvent
    counted: Key | None = None
    matched_child: bytes | None = None


Lookup = Callable[[Iterable[Key]], Mapping[Key, Booked]]


class Resolution(NamedTuple):
    """What is to be done so that each call counts once.

    `duplicates`: the event of the batch at this place counts nothing, for the one with this key does.
    `reversed`: this event of the ledger no longer counts, for the one with this key does.
    `matched`: this event has the span inside it as its one further description.
    `shared`: the event at this place has the id of another call, and counts beside it.
    """

    duplicates: dict[int, Key]
    reversed: dict[Key, Key]
    matched: dict[Key, bytes]
    shared: set[int]


NOTHING: Final = Resolution({}, {}, {}, set())


def key_of(event: UsageEvent) -> Key:
    """The key of an event's row."""
    return event.trace_id, event.span_id, event.time


def resolve(
    batch: Sequence[UsageEvent],
    same_id: Sequence[tuple[int, Key]],
    related: Sequence[tuple[int, Key]],
    booked: Lookup,
    same_shared: Callable[[Collection[int]], Sequence[tuple[int, Key]]],
) -> Resolution:
    """Decide for the events of a batch, given what each may share its call with.

    `same_id` pairs the place of an event with another that has the same identity from the provider, `related` with one
    that is around or inside it; the others may be in the batch as well. `booked` finds events in the ledger by key,
    `same_shared` others with the id and the counts of those whose id is another call's as well.
    """
    resolver = _Resolver(batch, booked)
    resolver.look_up([*same_id, *related])
    for place, other in related:
        resolver.relate(key_of(batch[place]), other)
    if apart := resolver.pair_by_id(same_id):
        others = same_shared(apart)
        resolver.look_up(others)
        resolver.pair_by_id(others)
    return resolver.decide()


class _Resolver:
    def __init__(self, batch: Sequence[UsageEvent], booked: Lookup) -> None:
        self._batch = batch
        self._booked = booked
        # Of what is involved: where in the batch it is if it is new, and what is known of it otherwise.
        self._places: dict[Key, list[int]] = {}
        self._decided: dict[Key, Booked] = {}
        self._partners: defaultdict[Key, set[Key]] = defaultdict(set)
        self._inside: defaultdict[Key, set[Key]] = defaultdict(set)
        self._around: defaultdict[Key, set[Key]] = defaultdict(set)
        self._resolution = Resolution({}, {}, {}, set())

    def look_up(self, pairs: Sequence[tuple[int, Key]]) -> None:
        """Find out where everything involved is. What is booked was decided then, also if it is delivered again."""
        involved = {key_of(self._batch[place]) for place, _ in pairs} | {key for _, key in pairs}
        involved -= self._places.keys() | self._decided.keys()
        if not involved:
            return
        self._decided.update(self._booked(involved))
        for place, event in enumerate(self._batch):
            key = key_of(event)
            if key in involved and key not in self._decided:
                self._places.setdefault(key, []).append(place)

    def relate(self, one: Key, other: Key) -> None:
        """Two spans of one trace: one around the other, or one call, or neither."""
        first, second = self._event(one), self._event(other)
        if first is None or second is None:
            return
        for outer, inner in ((first, second), (second, first)):
            if encloses(outer, inner):
                self._inside[key_of(outer)].add(key_of(inner))
                self._around[key_of(inner)].add(key_of(outer))
            elif describes_child(outer, inner) and self._match(key_of(outer), inner.span_id):
                self.pair(one, other)

    def pair_by_id(self, pairs: Sequence[tuple[int, Key]]) -> set[int]:
        """Two descriptions of one call, if more than their id says so; the places of the others that are new."""
        for place, other in pairs:
            key = key_of(self._batch[place])
            if self._is_one_call(key, other):
                self.pair(key, other)
                self._resolution.shared.discard(place)
            elif key in self._places:
                self._resolution.shared.add(place)
        return self._resolution.shared

    def _is_one_call(self, one: Key, other: Key) -> bool:
        first, second = self._event(one), self._event(other)
        if first is None or second is None:
            return False
        for outer, inner in ((first, second), (second, first)):
            if is_inside(inner, outer):
                return self._match(key_of(outer), inner.span_id) or self._has_twin(outer, inner)
        return shares_call(first, second)

    def _has_twin(self, outer: UsageEvent, inner: UsageEvent) -> bool:
        """Whether the inner span is one call with the one that the outer describes: two instrumentations in a third."""
        twin = inner.trace_id, self._matched(key_of(outer))
        beside = [self._event(key) for key in (*self._places, *self._decided) if key[:2] == twin]
        return any(each is not None and shares_call(each, inner) for each in beside)

    def pair(self, one: Key, other: Key) -> None:
        """Two descriptions of one call."""
        self._partners[one].add(other)
        self._partners[other].add(one)

    def decide(self) -> Resolution:
        """Decide for every event of the batch that is involved."""
        for key in sorted(self._places, key=self._order):
            self._decide(key)
        return self._resolution

    def _event(self, key: Key) -> UsageEvent | None:
        if key in self._places:
            return self._batch[self._places[key][0]]
        counted = self._stands_for(key)
        if counted is None:
            return None
        # The row of a further description has no counts of its own.
        whole, event = self._decided[counted].event, self._decided[key].event
        return event._replace(input_tokens=whole.input_tokens, output_tokens=whole.output_tokens)

    def _match(self, parent: Key, child: bytes) -> bool:
        """Whether the child is the one that its parent describes: of several equal calls it is only one."""
        matched = self._matched(parent)
        if matched is None:
            self._resolution.matched[parent] = child
        return matched in {None, child}

    def _matched(self, parent: Key) -> bytes | None:
        stored = self._decided[parent].matched_child if parent in self._decided else None
        return self._resolution.matched.get(parent, stored)

    def _order(self, key: Key) -> tuple[float, ...]:
        """Wrappers last, the innermost first, as what is inside of them decides; of others the best first."""
        event = self._batch[self._places[key][0]]
        if is_wrapper(event):
            return 1, -event.time.timestamp()
        return 0, *(-part for part in rank(event))

    def _decide(self, key: Key) -> None:
        event = self._batch[self._places[key][0]]
        inside = self._counted(self._inside[key]) - {key}
        rivals = inside or self._counted(self._partners[key] - self._around[key]) - {key}
        best = max(rivals, key=self._worth, default=key)
        if best != key and not inside and supersedes(event, self._decided[best].event):
            best = key
        self._decided[key] = Booked(event)
        losers: set[Key] = set() if inside else rivals - {best}
        # Wrappers of the ledger count no longer, now that a call inside of them is known.
        losers |= {outer for outer in self._around[key] if outer not in self._places}
        for loser in losers | {key}:
            if loser != best and self._decided[loser].counted is None:
                self._yield(loser, best)

    def _worth(self, key: Key) -> tuple[tuple[int, bool, bool], Key]:
        return rank(self._decided[key].event), key

    def _counted(self, keys: Iterable[Key]) -> set[Key]:
        """The events that count for these, as far as they are decided."""
        found = map(self._stands_for, keys)
        return {key for key in found if key is not None}

    def _stands_for(self, key: Key) -> Key | None:
        seen: set[Key] = set()
        while key not in seen:
            seen.add(key)
            if key not in self._decided and key not in self._places:
                self._decided.update(self._booked({key}))
            if key not in self._decided:
                return None
            counted = self._decided[key].counted
            if counted is None:
                return key
            key = counted
        return None

    def _yield(self, loser: Key, winner: Key) -> None:
        self._decided[loser] = self._decided[loser]._replace(counted=winner)
        if loser in self._places:
            for place in self._places[loser]:
                self._resolution.duplicates[place] = winner
        else:
            self._resolution.reversed[loser] = winner
