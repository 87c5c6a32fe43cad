"""The guard of budgets that all of a process's calls go by."""

import functools
import os

from spanmeter.instrumentation.budgets.guard import Guard
from spanmeter.instrumentation.budgets.settings import BudgetSettings
from spanmeter.instrumentation.guard import guarded
from spanmeter.instrumentation.pipeline import lifecycle
from spanmeter.instrumentation.pipeline.shared import shared as shared_pipeline


@functools.cache
@guarded
def shared() -> Guard | None:
    """The guard of this process and its children, as the environment describes it when it is first asked for; none
    where that says so, or where records go to no collector."""
    pipeline = shared_pipeline()
    if pipeline is None:
        return None
    settings = BudgetSettings.from_environ(os.environ, pipeline.settings.destination)
    if settings is None:
        return None
    guard = Guard(settings)
    lifecycle.watch(guard, handle_sigterm=False)
    return guard
