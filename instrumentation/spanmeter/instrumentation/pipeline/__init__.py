"""Metering records, from the call that they tell of to the collector: durable, and never sampled."""

from spanmeter.instrumentation.pipeline.pipeline import Pipeline
from spanmeter.instrumentation.pipeline.settings import PipelineSettings
from spanmeter.instrumentation.pipeline.status import PipelineStatus

__all__ = ["Pipeline", "PipelineSettings", "PipelineStatus"]
