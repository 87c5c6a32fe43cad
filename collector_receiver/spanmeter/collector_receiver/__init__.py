"""OTLP in: decode, normalise, cost, commit, and only then acknowledge."""

from spanmeter.collector_receiver.run import run
from spanmeter.collector_receiver.server import Addresses, CannotListen, Collector
from spanmeter.collector_receiver.settings import CollectorSettings

__all__ = ["Addresses", "CannotListen", "Collector", "CollectorSettings", "run"]
