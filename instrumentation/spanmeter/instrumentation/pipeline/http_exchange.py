"""OTLP over HTTP/1.1: protobuf in, protobuf out."""

import gzip
import http.client

from spanmeter.instrumentation.pipeline.answers import Answer, of_http
from spanmeter.instrumentation.pipeline.connecting import (
    connection,
    proxy_authorization,
    proxy_for,
)
from spanmeter.instrumentation.pipeline.destination import Destination
from spanmeter.instrumentation.pipeline.exchange import (
    GZIP_LEVEL,
    MAX_ANSWER,
    RECORDS,
    USER_AGENT,
    Exchange,
    Form,
)


class HttpExchange(Exchange):
    """Requests over HTTP to a destination of protocol `http/protobuf`."""

    broken = (OSError, http.client.HTTPException)

    def __init__(self, destination: Destination, form: Form = RECORDS) -> None:
        self._destination = destination
        self._read = form.read
        self._connection: http.client.HTTPConnection | None = None
        self._proxy = proxy_for(destination)
        self._target = destination.path
        self._headers = {
            "Content-Type": form.content_type,
            "User-Agent": USER_AGENT,
            **dict(destination.headers),
        }
        if self._proxy is not None and not destination.secure:
            self._target = destination.url
            self._headers |= proxy_authorization(self._proxy)
        if destination.gzip:
            self._headers["Content-Encoding"] = "gzip"

    def is_open(self) -> bool:
        return self._connection is not None

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def ask(self, body: bytes) -> Answer:
        if self._destination.gzip:
            body = gzip.compress(body, GZIP_LEVEL)
        if self._connection is None:
            self._connection = connection(
                self._destination,
                alpn="http/1.1",
                proxy=self._proxy,
                tunnel=self._destination.secure,
            )
        self._connection.request("POST", self._target, body=body, headers=self._headers)
        response = self._connection.getresponse()
        answered = response.read(MAX_ANSWER)
        status, retry_after = response.status, response.headers.get("Retry-After")
        if response.will_close or not response.isclosed():
            self.close()
        return of_http(status, answered, retry_after, self._read)
