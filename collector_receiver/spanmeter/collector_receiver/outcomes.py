"""What became of the requests of one commit."""

from spanmeter.collector_receiver.counters import Counts
from spanmeter.collector_receiver.submission import Rejection, Submission
from spanmeter.storage.ledger import Written


def counts_of(group: list[Submission], written: Written) -> Counts:
    """What it adds to the counters."""
    events = [metered.event for submission in group for metered in submission.batch]
    return Counts(
        stored=written.inserted,
        duplicates=written.duplicates,
        same_call=written.same_call,
        shared_ids=written.shared_ids,
        unpriced=sum(event.cost is None for event in events),
        unattributed=sum(event.tenant_id is None for event in events),
        evaluations=written.evaluations,
    )


def outcomes_of(group: list[Submission], written: Written) -> list[list[Rejection]]:
    """The rejections of each submission: those it came with, and the rows of its own that the database refused."""
    outcomes: list[list[Rejection]] = []
    first = 0
    for submission in group:
        last = first + len(submission.batch)
        refused = [
            Rejection(r.reason, r.detail) for r in written.refused if first <= r.index < last
        ]
        outcomes.append(submission.rejections + refused)
        first = last
    return outcomes
