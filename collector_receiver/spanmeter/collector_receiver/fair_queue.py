"""What waits for its commit: a line for each sender, and turns, so that one who floods delays nobody else."""

from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable
from typing import Final

from spanmeter.collector_receiver.submission import Submission

RESERVED: Final = 0.25
"""The part of the room that is kept for senders who have less than an equal share waiting."""


class QueueFull(Exception):
    """There is no room for this request until others are committed."""


class FairQueue:
    """Submissions in line, by sender. At most `max_bytes` of memory wait or are being written.

    The order of one sender's submissions is kept. Not thread-safe.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._lines: OrderedDict[str, deque[Submission]] = OrderedDict()
        self._members: set[Submission] = set()
        self._held: Counter[str] = Counter()
        self._bytes = 0
        self.rows = 0
        """Rows in line."""
        self.since = 0.0
        """When what is first in line arrived, or earlier; of no meaning when nothing is."""

    def __bool__(self) -> bool:
        return bool(self._lines)

    @property
    def bytes(self) -> int:
        """Memory of what waits or is being written."""
        return self._bytes

    def add(self, submission: Submission) -> None:
        """Put a submission at the end of its sender's line. Raises `QueueFull`."""
        if not self._has_room(submission):
            raise QueueFull(f"{self._bytes} bytes of requests wait for the database already")
        if not self._lines:
            self.since = submission.arrived
        self._lines.setdefault(submission.sender, deque()).append(submission)
        self._members.add(submission)
        self.rows += submission.rows
        self._bytes += submission.size
        self._held[submission.sender] += submission.size

    def take(self, rows: int) -> list[Submission]:
        """The next submissions, one of each sender in turn: as many as have `rows` rows, or one that has more."""
        group: list[Submission] = []
        while self._lines:
            sender, line = next(iter(self._lines.items()))
            if group and line[0].rows > rows:
                break
            group.append(line.popleft())
            rows -= group[-1].rows
            self._lines.move_to_end(sender)
            if not line:
                del self._lines[sender]
        self.rows -= sum(submission.rows for submission in group)
        return group

    def put_back(self, group: Iterable[Submission]) -> None:
        """Undo a `take`: what was taken is first in line again."""
        for submission in reversed(list(group)):
            self._lines.setdefault(submission.sender, deque()).appendleft(submission)
            self._lines.move_to_end(submission.sender, last=False)
            self.rows += submission.rows

    def withdraw(self, which: Callable[[Submission], bool]) -> list[Submission]:
        """Take those that are in line, in their senders' order, out of turn."""
        found: list[Submission] = []
        for sender, line in list(self._lines.items()):
            found += filter(which, line)
            self._lines[sender] = deque(each for each in line if not which(each))
            if not self._lines[sender]:
                del self._lines[sender]
        self.rows -= sum(submission.rows for submission in found)
        return found

    def release(self, group: Iterable[Submission]) -> None:
        """What was taken is no more held. To release it again changes nothing."""
        for submission in self._members.intersection(group):
            self._members.remove(submission)
            self._bytes -= submission.size
            self._held[submission.sender] -= submission.size
            if not self._held[submission.sender]:
                del self._held[submission.sender]

    def _has_room(self, submission: Submission) -> bool:
        after = self._bytes + submission.size
        # An empty queue takes any one request, so that none is too large for ever.
        if not self._bytes or after <= self._max_bytes * (1 - RESERVED):
            return True
        held = self._held[submission.sender] + submission.size
        # There is always room for one sender more.
        shares = len(self._held.keys() | {submission.sender}) + 1
        return after <= self._max_bytes and held * shares <= self._max_bytes
