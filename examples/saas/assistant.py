"""The internal service: all the LLM code there is. It is metered without a word of it in that code.

Whose work this is arrives with the request, as OpenTelemetry baggage; that the gateway's word is
taken for it is the one line that this service adds. Run it with
`uvicorn saas.assistant:app`; the SDKs find their providers by OPENAI_BASE_URL and
ANTHROPIC_BASE_URL.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

from anthropic import AsyncAnthropic
from anthropic.types import TextBlockParam
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

from spanmeter.instrumentation.asgi import UsageMiddleware

openai = OpenAI()
async_openai = AsyncOpenAI()
anthropic = AsyncAnthropic()

# Long enough for the providers' prompt caches, which start at 1,024 tokens.
HOUSE_STYLE = "\n".join(
    f"{number}. Write in short sentences, name the source of each figure, and avoid jargon."
    for number in range(1, 81)
)


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
    with openai:
        async with async_openai, anthropic:
            yield


app = FastAPI(title="Assistant", lifespan=lifespan)
# Nobody but the gateway can reach this service.
app.add_middleware(UsageMiddleware, trust_inbound=True)


class Text(BaseModel):
    text: str


@app.post("/summarize")
def summarize(document: Text) -> Text:
    """With the synchronous client, in FastAPI's thread pool."""
    completion = openai.chat.completions.create(
        model="gpt-4o-mini",
        messages=[
            {"role": "system", "content": "Summarize the document in two sentences."},
            {"role": "user", "content": document.text},
        ],
    )
    return Text(text=completion.choices[0].message.content or "")


@app.post("/converse")
async def converse(question: Text) -> StreamingResponse:
    """As a stream, the way chats are. The code does not ask for usage: it is none of its business."""
    stream = await async_openai.chat.completions.create(
        model="gpt-4.1-mini",
        messages=[
            {"role": "system", "content": HOUSE_STYLE},
            {"role": "user", "content": question.text},
        ],
        stream=True,
    )

    async def words() -> AsyncIterator[str]:
        async for chunk in stream:
            yield chunk.choices[0].delta.content or ""

    return StreamingResponse(words(), media_type="text/plain")


@app.post("/answer")
async def answer(question: Text) -> Text:
    """Find by embedding, then answer with the Responses API."""
    await async_openai.embeddings.create(model="text-embedding-3-small", input=question.text)
    response = await async_openai.responses.create(
        model="gpt-5-mini",
        instructions="Answer from the documents found.",
        input=question.text,
    )
    return Text(text=response.output_text)


@app.post("/outline")
async def outline(topic: Text) -> Text:
    """With a model that reasons first."""
    completion = await async_openai.chat.completions.create(
        model="o4-mini",
        messages=[{"role": "user", "content": f"Outline a report: {topic.text}"}],
    )
    return Text(text=completion.choices[0].message.content or "")


@app.post("/draft")
async def draft(section: Text) -> Text:
    """With Claude, and a system prompt that is cached."""
    style: TextBlockParam = {
        "type": "text",
        "text": HOUSE_STYLE,
        "cache_control": {"type": "ephemeral"},
    }
    async with anthropic.messages.stream(
        model="claude-haiku-4-5",
        max_tokens=1024,
        system=[style],
        messages=[{"role": "user", "content": section.text}],
    ) as stream:
        return Text(text=await stream.get_final_text())


@app.post("/index")
async def index(document: Text) -> Text:
    embedded = await async_openai.embeddings.create(
        model="text-embedding-3-small", input=document.text.split("\n")
    )
    return Text(text=f"{len(embedded.data)} paragraphs")
