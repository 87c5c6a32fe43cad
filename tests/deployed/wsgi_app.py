"""The application behind WSGI: `gunicorn deployed.wsgi_app:application`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from deployed.asking import ask
from spanmeter.instrumentation.wsgi import UsageMiddleware


def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", [("content-type", "application/json")])
    yield json.dumps(ask(environ["HTTP_X_CUSTOMER"])).encode()


application = UsageMiddleware(answer, headers={"tenant_id": "X-Customer"})
