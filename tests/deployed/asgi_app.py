"""The application behind ASGI: `uvicorn deployed.asgi_app:app --workers 2`. It asks in a thread, and
once more when it has answered."""

from __future__ import annotations

from typing import Any

from fastapi import BackgroundTasks, FastAPI, Request

from deployed.asking import ask
from spanmeter.instrumentation.asgi import UsageMiddleware

app = FastAPI()


@app.post("/")
def answer(request: Request, background: BackgroundTasks) -> dict[str, Any]:
    customer = request.headers["x-customer"]
    background.add_task(ask, customer)
    return ask(customer)


app.add_middleware(UsageMiddleware, headers={"tenant_id": "x-customer"})
