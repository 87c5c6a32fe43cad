"""Requests to a collector and its answers, over a connection that is kept open."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, Final, NamedTuple

from spanmeter.instrumentation.pipeline.answers import (
    Answer,
    Misconfigured,
    TryAgain,
    accepted,
    told,
)
from spanmeter.instrumentation.pipeline.destination import Destination
from spanmeter.instrumentation.version import VERSION

USER_AGENT: Final = f"spanmeter/{VERSION}"
MAX_ANSWER: Final = 4 * 1024 * 1024
"""Bytes of an answer that are read; OTLP lets a collector send no more."""
GZIP_LEVEL: Final = 6


class Form(NamedTuple):
    """What is asked: the content type over HTTP, the method over gRPC, and what to make of the answer."""

    content_type: str
    method: str
    read: Callable[[bytes], Answer]


RECORDS: Final = Form(
    "application/x-protobuf",
    "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    accepted,
)
BUDGETS: Final = Form("application/json", "/spanmeter.v1.Budgets/Sync", told)


class Exchange(ABC):
    """Sends requests one after the other. Not thread-safe."""

    broken: ClassVar[tuple[type[Exception], ...]] = (OSError,)
    """What is raised for a connection that is of no more use."""

    def send(self, body: bytes) -> Answer:
        """What the collector answers to a serialized request; that it should be
        tried again, where nothing came."""
        stale, reused = False, self.is_open()
        try:
            return self.ask(body)
        except TimeoutError:
            failure: Answer = TryAgain("the collector did not answer in time")
        except self.broken as error:
            # A collector may close at any moment a connection on which nothing is under way.
            stale = reused
            failure = TryAgain(f"{type(error).__name__}: {error}")
        except ValueError:
            # Not what it says: that can be the header's value, and so a key.
            failure = Misconfigured("a header that is set for the collector cannot be sent")
        self.close()
        return self.send(body) if stale else failure

    @abstractmethod
    def is_open(self) -> bool:
        """Whether there is a connection from before."""

    @abstractmethod
    def close(self) -> None:
        """Closes the connection. The next `send` makes another."""

    @abstractmethod
    def ask(self, body: bytes) -> Answer:
        """One request. Raises what sockets and protocols raise."""


def exchange_with(destination: Destination, form: Form = RECORDS) -> Exchange:
    """An exchange in the protocol of the destination. Nothing is opened yet."""
    # Either protocol brings modules with it that the application need not load for the other.
    if destination.protocol == "grpc":
        from spanmeter.instrumentation.pipeline.grpc_exchange import GrpcExchange

        return GrpcExchange(destination, form)
    from spanmeter.instrumentation.pipeline.http_exchange import HttpExchange

    return HttpExchange(destination, form)
