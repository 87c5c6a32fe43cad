"""The product's API: its application has the middleware."""

from typing import Annotated

from anthropic import Anthropic
from fastapi import APIRouter, BackgroundTasks, Depends
from fastapi.responses import StreamingResponse

from unit.instrumentation.lint.helpdesk.clients import anthropic, openai

router = APIRouter(prefix="/tickets")


@router.post("/summary")
async def summarize(text: str) -> str:
    completion = await openai.chat.completions.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": text}]
    )
    return completion.choices[0].message.content or ""


@router.post("/tone")
def tone(text: str, client: Annotated[Anthropic, Depends(anthropic)]) -> str:
    message = client.with_options(timeout=10).messages.create(
        model="claude-haiku-4-5", max_tokens=9, messages=[{"role": "user", "content": text}]
    )
    return message.id


@router.post("/index")
async def index(text: str, background: BackgroundTasks) -> None:
    background.add_task(embed, text)


async def embed(text: str) -> None:
    embeddings = openai.embeddings
    await embeddings.create(model="text-embedding-3-small", input=text)


@router.post("/reply")
async def reply(text: str) -> StreamingResponse:
    raw = await openai.responses.with_raw_response.create(model="gpt-5-mini", input=text)
    return StreamingResponse(iter([raw.text]), media_type="text/plain")
