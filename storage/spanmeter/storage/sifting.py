"""A batch that was refused as a whole is booked in parts, but for the rows that are the reason."""

from collections.abc import Callable, Mapping, Sequence

from spanmeter.storage.faults import BatchRefused
from spanmeter.storage.metered import QUARANTINED, REFUSED, Metered, Refused
from spanmeter.storage.session import Committed


class Sifting:
    """Books the rows of `batch` that can be; `parts` are the commits, and `refused` the rows that cannot.

    A row is refused for what was said of it when it was tried by itself, and for nothing else: however long it takes, a
    good row is booked.

    `commit` books some rows or raises BatchRefused; `faults` tries some rows each by itself, and returns those that are
    refused, by their place among these, and why: none if it cannot tell.
    """

    def __init__(
        self,
        batch: Sequence[Metered],
        commit: Callable[[Sequence[Metered]], Committed],
        faults: Callable[[Sequence[Metered]], Mapping[int, str]],
    ) -> None:
        self._batch = batch
        self._commit = commit
        self._faults = faults
        self.parts: list[Committed] = []
        self.refused: list[Refused] = []

    def divide(self, places: Sequence[int], error: BatchRefused) -> None:
        """Book the events at these places, which were refused together."""
        if len(places) == 1:
            self._refuse(places, str(error))
        elif found := self._faults(self._events(places)):
            for place, detail in found.items():
                self._refuse([places[place]], detail)
            self._book([place for at, place in enumerate(places) if at not in found])
        else:
            middle = len(places) // 2
            self._book(places[:middle])
            self._book(places[middle:])

    def _book(self, places: Sequence[int]) -> None:
        if not places:
            return
        try:
            part = self._commit(self._events(places))
        except BatchRefused as error:
            self.divide(places, error)
        else:
            self.parts.append(part)
            self.refused += quarantined(part, places)

    def _refuse(self, places: Sequence[int], detail: str) -> None:
        self.refused += (Refused(place, REFUSED, detail) for place in places)

    def _events(self, places: Sequence[int]) -> list[Metered]:
        return [self._batch[place] for place in places]


def quarantined(committed: Committed, places: Sequence[int]) -> list[Refused]:
    """What was not booked for what is booked already, by its place in the whole batch."""
    return [
        Refused(places[at], reason, QUARANTINED[reason])
        for at, reason in committed.added.quarantined.items()
    ]
