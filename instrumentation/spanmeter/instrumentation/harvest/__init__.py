"""Spans that others make of the use of models, passed on as metering records.

Client libraries that trace themselves, frameworks, and other instrumentations: what their spans say of
usage goes to the collector by the pipeline, unless one of our own records tells of the same call.
"""
