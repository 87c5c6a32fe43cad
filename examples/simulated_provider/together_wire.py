"""Together's wire: chat, completions, embeddings, reranking, images and sound, below /together.

Source: docs.together.ai/reference, and the types of its Python SDK. The last chunk of a stream
holds the usage, unasked; pictures and sound have none.
"""

import base64
import time
from collections.abc import Iterator
from decimal import Decimal

from simulated_provider import openai_wire
from simulated_provider.answers import compose, prompt_of, tokens
from simulated_provider.compatible import Conversation, billed, chat_choice, delta_choice, hold
from simulated_provider.exchange import JSON, Call, Endpoint, Event, Exchange, Wire, new_id
from simulated_provider.prices import ListPrice, PriceList, Tokens

PREFIX = "/together/v1"

_LLAMA = "meta-llama/Llama-3.3-70B-Instruct-Turbo"
_EMBEDDER, _UNCOUNTED = "BAAI/bge-base-en-v1.5", "togethercomputer/m2-bert-80M-32k-retrieval"
_FLUX, _WHISPER, _SONIC = "black-forest-labs/FLUX.1-schnell", "openai/whisper-large-v3", "sonic"

# together.ai/pricing, US dollars per million tokens.
PRICES = PriceList(
    {
        _LLAMA: ListPrice(_LLAMA, input=Decimal("0.88"), output=Decimal("0.88")),
        _EMBEDDER: ListPrice(_EMBEDDER, input=Decimal("0.01")),
        _UNCOUNTED: ListPrice(_UNCOUNTED, input=Decimal("0.01")),
        "Salesforce/Llama-Rank-v1": ListPrice("Salesforce/Llama-Rank-v1", input=Decimal("0.10")),
        _FLUX: ListPrice(_FLUX, input=Decimal(0)),
        _WHISPER: ListPrice(_WHISPER, input=Decimal(0)),
        "cartesia/sonic": ListPrice("cartesia/sonic", input=Decimal(0)),
    }
)
# Dollars for an image of one megapixel, a second of audio, a character.
IMAGE, SECOND, CHARACTER = Decimal("0.0027"), Decimal("0.000025"), Decimal("0.000065")

BYTES_A_SECOND = 1000

WIRE = Wire(
    request_id=lambda: new_id("", 16),
    headers=lambda request_id: {"x-together-request-id": request_id},
    error=openai_wire.error_body,
)


def chat(call: Call) -> Exchange:
    """POST /v1/chat/completions."""
    held = hold(call, PRICES)
    return _answered(call, held, "chat.completion", chat_choice(held))


def completion(call: Call) -> Exchange:
    """POST /v1/completions."""
    held = hold(call, PRICES)
    choice: JSON = {"text": held.answer.text, "finish_reason": held.finish_reason, "seed": 7}
    return _answered(call, held, "text.completion", choice)


def _answered(call: Call, held: Conversation, kind: str, choice: JSON) -> Exchange:
    usage = openai_wire.usage_of(call, held.usage)
    head: JSON = {
        "id": call.request_id,
        "created": int(time.time()),
        "model": held.price.response_model,
    }
    counted = {} if call.reply.without_usage else {"usage": usage}
    whole = {**head, "object": kind, "prompt": [], "choices": [choice], **counted}
    return Exchange(
        price=held.price,
        response_id=call.request_id,
        usage=usage,
        tokens=billed(usage),
        body=whole,
        events=list(_chunks(held, head, counted)),
        failure=lambda sent: [Event(openai_wire.error_body(500, "", None, call.reply.error))],
    )


def _chunks(held: Conversation, head: JSON, counted: JSON) -> Iterator[Event]:
    head = {**head, "object": "chat.completion.chunk", "usage": None}
    for piece in held.answer.deltas:
        # The text stands twice, as of old and as in a chat.
        choice = delta_choice({"role": "assistant", "content": piece}) | {"text": piece}
        yield Event(head | {"choices": [choice]}, delta=True)
    ending = delta_choice({"role": "assistant", "content": ""}, held.finish_reason) | {"text": ""}
    yield Event(head | {"choices": [ending], **counted})
    yield Event("[DONE]")


def embeddings(call: Call) -> Exchange:
    """POST /v1/embeddings."""
    price, size = call.price(PRICES), len(tokens(prompt_of(call.body.get("input"))))
    usage = openai_wire.usage_of(call, {"prompt_tokens": size, "total_tokens": size})
    vector = {"object": "embedding", "embedding": [0.25, -0.5, 0.125], "index": 0}
    body: JSON = {"object": "list", "data": [vector], "model": price.response_model}
    if price.response_model != _UNCOUNTED:
        body["usage"] = usage
    return Exchange(price, call.request_id, usage, billed(usage), body)


def rerank(call: Call) -> Exchange:
    """POST /v1/rerank."""
    price, documents = call.price(PRICES), list[object](call.body["documents"])
    size = len(tokens(prompt_of([call.body["query"], *documents])))
    counted = {"prompt_tokens": size, "completion_tokens": 0, "total_tokens": size}
    usage = openai_wire.usage_of(call, counted)
    body: JSON = {
        "object": "rerank",
        "id": call.request_id,
        "model": price.response_model,
        "results": [
            {"index": index, "relevance_score": 0.5, "document": {"text": ""}}
            for index in range(len(documents))
        ],
        "usage": usage,
    }
    return Exchange(price, call.request_id, usage, billed(usage), body)


def images(call: Call) -> Exchange:
    """POST /v1/images/generations."""
    price, count = call.price(PRICES), int(call.body.get("n") or 1)
    drawn = base64.b64encode(b"picture").decode()
    body: JSON = {
        "id": call.request_id,
        "model": price.response_model,
        "object": "list",
        "data": [{"index": index, "b64_json": drawn, "type": "b64_json"} for index in range(count)],
    }
    return Exchange(price, call.request_id, {}, Tokens(), body, beyond=IMAGE * count)


def transcript(call: Call) -> Exchange:
    """POST /v1/audio/transcriptions and /translations."""
    seconds = max(1, len(call.body["file"]) // BYTES_A_SECOND)
    body: JSON = {"text": compose(str(seconds), text=call.reply.text).text}
    if call.body.get("response_format") == "verbose_json":
        body |= {"task": "transcribe", "language": "en", "duration": seconds, "segments": []}
    price = call.price(PRICES)
    return Exchange(price, call.request_id, {}, Tokens(), body, beyond=SECOND * seconds)


def speech(call: Call) -> Exchange:
    """POST /v1/audio/speech: whole, or in chunks."""
    chunk: JSON = {"object": "audio.tts.chunk", "model": call.model, "b64": "UklGRg=="}
    return Exchange(
        price=call.price(PRICES),
        response_id=call.request_id,
        usage={},
        tokens=Tokens(),
        body={},
        events=[*[Event(chunk, delta=True)] * 3, Event("[DONE]")],
        media="audio/wav",
        content=b"RIFF" * 1000,
        beyond=CHARACTER * len(call.body["input"]),
    )


def video(call: Call) -> Exchange:
    """POST /v2/videos: a job, which is done when it is asked for."""
    job: JSON = {
        "id": call.request_id,
        "object": "video",
        "model": str(call.body["model"]),
        "status": "in_progress",
        "created_at": time.time(),
        "size": f"{call.body.get('width', 1366)}x{call.body.get('height', 768)}",
        "seconds": str(call.body.get("seconds", "5")),
    }
    call.kept[call.request_id] = job
    price = ListPrice(job["model"], input=Decimal(0))
    return Exchange(price, job["id"], {}, Tokens(), job, billed=False)


def finished_video(call: Call) -> Exchange:
    """GET /v2/videos/{id}."""
    job = call.kept[call.path["video"]]
    outputs = {"cost": 28, "video_url": "https://example.com/video.mp4"}
    done = job | {"status": "completed", "completed_at": time.time(), "outputs": outputs}
    return Exchange(ListPrice(job["model"], input=Decimal(0)), job["id"], {}, Tokens(), done)


ENDPOINTS = (
    *(
        Endpoint(PREFIX + path, api, WIRE, answer)
        for path, api, answer in (
            ("/chat/completions", "together.chat", chat),
            ("/completions", "together.completions", completion),
            ("/embeddings", "together.embeddings", embeddings),
            ("/rerank", "together.rerank", rerank),
            ("/images/generations", "together.images.generations", images),
            ("/audio/transcriptions", "together.audio.transcriptions", transcript),
            ("/audio/translations", "together.audio.translations", transcript),
            ("/audio/speech", "together.audio.speech", speech),
        )
    ),
    Endpoint("/together/v2/videos", "together.videos", WIRE, video),
    Endpoint(
        "/together/v2/videos/{video}", "together.videos.retrieve", WIRE, finished_video, "GET"
    ),
)
