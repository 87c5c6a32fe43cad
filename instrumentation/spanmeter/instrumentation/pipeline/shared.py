"""The pipeline that all of a process's records go through."""

import functools
import os
from typing import Final

from spanmeter.instrumentation.guard import guarded
from spanmeter.instrumentation.pipeline.pipeline import Pipeline

EXPORTER: Final = "SPANMETER_EXPORTER"
"""`otlp`, or `none`: the application's own tracing alone carries the usage, as far as that goes."""


@functools.cache
@guarded
def shared() -> Pipeline | None:
    """The pipeline of this process and its children, as the environment describes it when it is first
    asked for; none where that says so."""
    if os.environ.get(EXPORTER, "").strip().lower() == "none":
        return None
    pipeline = Pipeline.from_environ()
    pipeline.adopt()
    return pipeline
