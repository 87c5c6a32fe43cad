"""The public service. It knows its customers, and is the only place that names a tenant.

Each product feature is one endpoint; the work is done by the assistant, a service of its own.
Run it with `uvicorn saas.gateway:app`; ASSISTANT_URL says where the assistant is.
"""

import os
import uuid
from collections.abc import AsyncGenerator, MutableMapping
from contextlib import asynccontextmanager
from typing import Annotated, Any

import httpx
from fastapi import Depends, FastAPI, Header, HTTPException
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from starlette.background import BackgroundTask

from saas.accounts import BY_API_KEY
from spanmeter.instrumentation import UsageContext, refine
from spanmeter.instrumentation.asgi import UsageMiddleware

assistant = httpx.AsyncClient(
    base_url=os.environ.get("ASSISTANT_URL", "http://127.0.0.1:8001"), timeout=60
)


def tenant_of(scope: MutableMapping[str, Any]) -> UsageContext | None:
    """Who pays for what is done while serving this request."""
    headers = dict(scope["headers"])
    account = BY_API_KEY.get(headers.get(b"x-api-key", b"").decode("latin-1"))
    if account is None:
        return None
    return UsageContext(
        tenant_id=account.tenant,
        account_type=account.kind,
        user_id=headers.get(b"x-user", b"").decode("latin-1") or None,
        dimensions={"region": account.region},
    )


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
    async with assistant:
        yield


def customer(x_api_key: Annotated[str, Header()]) -> None:
    """Lets customers in, and nobody else."""
    if x_api_key not in BY_API_KEY:
        raise HTTPException(401, "unknown API key")


app = FastAPI(title="Example SaaS", lifespan=lifespan)
app.add_middleware(UsageMiddleware, resolve=tenant_of)

CustomersOnly = [Depends(customer)]


class Document(BaseModel):
    text: str


class Question(BaseModel):
    text: str


class Topic(BaseModel):
    title: str


@app.post("/summaries", dependencies=CustomersOnly)
async def summarize(document: Document) -> dict[str, str]:
    with refine(feature="summaries"):
        return {"summary": await ask("/summarize", document.text)}


@app.post("/chat", dependencies=CustomersOnly)
async def chat(question: Question) -> StreamingResponse:
    """The answer, passed on as it is written."""
    with refine(feature="chat"):
        request = assistant.build_request("POST", "/converse", json={"text": question.text})
        answer = await assistant.send(request, stream=True)
    return StreamingResponse(
        answer.aiter_text(),
        status_code=answer.status_code,
        media_type="text/plain",
        background=BackgroundTask(answer.aclose),
    )


@app.post("/search", dependencies=CustomersOnly)
async def search(question: Question) -> dict[str, str]:
    with refine(feature="search"):
        return {"answer": await ask("/answer", question.text)}


@app.post("/reports", dependencies=CustomersOnly)
async def report(
    topic: Topic, idempotency_key: Annotated[str | None, Header()] = None
) -> dict[str, str]:
    """Four calls to two vendors, and one thing on the customer's bill: a report."""
    with refine(
        feature="reports",
        workflow="write-report",
        action="report.generated",
        label="Report",
        idempotency_key=idempotency_key or str(uuid.uuid4()),
    ):
        outline = await ask("/outline", topic.title)
        opening = await ask("/draft", f"Introduction of: {outline}")
        findings = await ask("/draft", f"Findings of: {outline}")
        summary = await ask("/summarize", f"{opening}\n{findings}")
    return {"summary": summary, "report": f"{opening}\n\n{findings}"}


@app.post("/ops/reindex")
async def reindex(document: Document) -> dict[str, str]:
    """A nightly job. Nobody said whose work this is, so its calls show up as unattributed."""
    return {"indexed": await ask("/index", document.text)}


async def ask(path: str, text: str) -> str:
    """What the assistant has to say."""
    answer = await assistant.post(path, json={"text": text})
    answer.raise_for_status()
    return str(answer.json()["text"])
