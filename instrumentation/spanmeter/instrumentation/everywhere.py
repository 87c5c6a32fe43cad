"""The usage context goes wherever the application's work goes: each mechanism is patched when its
module is imported, or now if it has been."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import wrapt

from spanmeter.instrumentation.celery_tasks import carry_into_tasks
from spanmeter.instrumentation.guard import guarded
from spanmeter.instrumentation.processes import (
    carry_into_pools,
    carry_into_process_executors,
    carry_into_processes,
)
from spanmeter.instrumentation.threads import carry_into_executors, carry_into_threads

PATCHES: Final[Mapping[str, Callable[[Any], None]]] = {
    "threading": carry_into_threads,
    "concurrent.futures.thread": carry_into_executors,
    "concurrent.futures.process": carry_into_process_executors,
    "multiprocessing.process": carry_into_processes,
    "multiprocessing.pool": carry_into_pools,
    "celery.signals": carry_into_tasks,
}

_patched: Final[set[str]] = set()


def carry_everywhere() -> None:
    """Patches the mechanisms, once per process."""
    for module, patch in PATCHES.items():
        if module not in _patched:
            _patched.add(module)
            wrapt.register_post_import_hook(partial(_apply, patch), module)


@guarded
def _apply(patch: Callable[[Any], None], module: Any) -> None:
    patch(module)
