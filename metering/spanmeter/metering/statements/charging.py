"""From usage to what is charged for it: counted, then priced."""

from collections.abc import Iterable

from spanmeter.metering.statements.counting import Counting
from spanmeter.metering.statements.course import Course
from spanmeter.metering.statements.rating import lines_of
from spanmeter.metering.statements.statement import Charged, charged
from spanmeter.metering.statements.usage import Action, UsageItem, Wanted


def charge(
    course: Course, wanted: Wanted, usage: Iterable[UsageItem], actions: Iterable[Action] = ()
) -> Charged:
    """What a period's usage comes to. It is used up in one pass, in little memory.

    What is `wanted` is what the course wants. Actions come in the order of time.
    The grants of the course are used up by it: a course serves once.
    """
    counting = Counting(course, wanted)
    counting.add(usage)
    counting.add_actions(actions)
    return charged(course, counting.counts, lines_of(course, counting.counts))
