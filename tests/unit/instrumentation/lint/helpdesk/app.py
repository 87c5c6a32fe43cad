"""The applications: the product's, and one for our own people that nobody thought of."""

# pyright: reportUnknownMemberType=false

from collections.abc import MutableMapping
from typing import Any

import ollama
from fastapi import FastAPI

from spanmeter.instrumentation import UsageContext
from spanmeter.instrumentation.asgi import UsageMiddleware
from unit.instrumentation.lint.helpdesk import tickets


def tenant_of(scope: MutableMapping[str, Any]) -> UsageContext | None:
    return UsageContext(tenant_id=scope["path"].split("/")[1])


def create_app() -> FastAPI:
    app = FastAPI(title="Help desk")
    app.include_router(tickets.router)
    app.add_middleware(UsageMiddleware, resolve=tenant_of)
    return app


admin = FastAPI(title="Administration")


@admin.post("/ask")
def ask(text: str) -> str:
    answer = ollama.chat("llama3.2", [{"role": "user", "content": text}])  # UNCOVERED
    return answer.message.content or ""
