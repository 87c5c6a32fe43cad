"""The application as a worker: `celery -A deployed.tasks worker`."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery  # type: ignore[import-untyped]

app: Any = Celery(broker=os.environ["BROKER_URL"], backend=os.environ["BROKER_URL"])
app.conf.update(broker_connection_retry_on_startup=True, worker_hijack_root_logger=False)


@app.task(bind=True, max_retries=3)  # type: ignore[untyped-decorator]
def summarize(self: Any, customer: str, *, fails: int = 0) -> dict[str, Any]:
    """Asks, after failing as often as it should: each time it is sent anew."""
    if self.request.retries < fails:
        raise self.retry(countdown=0)
    from deployed.asking import ask

    return ask(customer)


@app.task  # type: ignore[untyped-decorator]
def index(customer: str) -> str:
    """Has a task of its own done, by a message from the worker."""
    sent = summarize.delay(customer)
    return str(sent.id)
