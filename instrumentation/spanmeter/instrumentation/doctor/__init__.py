"""What `spanmeter doctor` looks at: whether every call will be metered, where records go, and
whether they arrive. One file for each thing that is looked at."""

from collections.abc import Callable, Iterator

from spanmeter.instrumentation.doctor import collector, libraries, spool, tracing, trusting
from spanmeter.instrumentation.doctor.finding import Finding


def examinations() -> list[Callable[[], Iterator[Finding]]]:
    """All there is to look at, in the order in which it is told. The first imports the libraries."""
    return [module.examine for module in (libraries, tracing, trusting, collector, spool)]
