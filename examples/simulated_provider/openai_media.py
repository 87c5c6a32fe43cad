"""OpenAI's wire: images, audio and moderations.

Source: the API reference at developers.openai.com/api (images, audio, moderations). Models of the
GPT Image and GPT transcription families count tokens; DALL-E and Whisper are charged by what comes
out of them.
"""

import base64
import time
from decimal import Decimal

from simulated_provider import openai_wire
from simulated_provider.answers import compose, prompt_of, tokens
from simulated_provider.exchange import JSON, Call, Endpoint, Event, Exchange, new_id
from simulated_provider.prices import ListPrice, PriceList, Tokens

PRICES = PriceList(
    {
        "gpt-image-1": ListPrice("gpt-image-1", input=Decimal(5), output=Decimal(40)),
        "dall-e-3": ListPrice("dall-e-3", input=Decimal(0)),
        "gpt-4o-transcribe": ListPrice(
            "gpt-4o-transcribe", input=Decimal("2.50"), output=Decimal(10)
        ),
        "whisper-1": ListPrice("whisper-1", input=Decimal(0)),
        "tts-1": ListPrice("tts-1", input=Decimal(0)),
        "gpt-4o-mini-tts": ListPrice("gpt-4o-mini-tts", input=Decimal("0.60"), output=Decimal(12)),
        "omni-moderation-latest": ListPrice("omni-moderation-2024-09-26", input=Decimal(0)),
    }
)
# Dollars for an image of standard size, a second of audio, a character.
IMAGE, SECOND, CHARACTER = Decimal("0.04"), Decimal("0.0001"), Decimal("0.000015")

# Output tokens of an image of 1024 by 1024 (the image generation guide, "Cost and latency").
IMAGE_TOKENS = {"low": 272, "medium": 1056, "high": 4160}

# Bytes of a second of the audio that the tests send, and tokens that it counts.
BYTES_A_SECOND, TOKENS_A_SECOND = 1000, 10


def images(call: Call) -> Exchange:
    """POST /v1/images/generations, /edits, /variations."""
    price, body = _price(call), call.body
    count = int(body.get("n", 1))
    size, quality = body.get("size", "1024x1024"), body.get("quality", "medium")
    pictures = len(body["image"]) if isinstance(body.get("image"), list) else "image" in body
    given = {
        "text_tokens": len(tokens(prompt_of(body.get("prompt")))),
        "image_tokens": 323 * pictures,
    }
    made = IMAGE_TOKENS.get(quality, 1056) * count
    usage: JSON = openai_wire.usage_of(
        call,
        {
            "input_tokens": sum(given.values()),
            "input_tokens_details": given,
            "output_tokens": made,
            "output_tokens_details": {"image_tokens": made, "text_tokens": 0},
            "total_tokens": sum(given.values()) + made,
        },
    )
    drawn = {"b64_json": base64.b64encode(b"picture").decode()}
    answer: JSON = {"created": int(time.time()), "data": [drawn] * count}
    kind = {"size": size, "quality": quality, "background": "opaque", "output_format": "png"}
    if price.response_model == "dall-e-3":
        return _free_of_tokens(price, answer, IMAGE * count)
    name = "image_edit" if "image" in body else "image_generation"
    partial = {**drawn, **kind, "created_at": int(time.time())}
    events = [
        _event(
            partial | {"type": f"{name}.partial_image", "partial_image_index": index}, delta=True
        )
        for index in range(int(body.get("partial_images", 0)))
    ]
    # The stream leaves the split of the output out.
    streamed = {key: value for key, value in usage.items() if key != "output_tokens_details"}
    events.append(_event(partial | {"type": f"{name}.completed", "usage": streamed}))
    return Exchange(
        price=price,
        response_id=new_id("img-", 24),
        usage=usage,
        tokens=_billed(usage),
        body=answer | kind | {"usage": usage},
        events=events,
        failure=lambda sent: [_failure(call)],
    )


def transcript(call: Call, *, translates: bool = False) -> Exchange:
    """POST /v1/audio/transcriptions: by tokens, or by the second."""
    price, body = _price(call), call.body
    seconds = max(1, len(body["file"]) // BYTES_A_SECOND)
    answer = compose(str(len(body["file"])), text=call.reply.text, chunks=call.reply.chunks)
    form = body.get("response_format", "json")
    if price.response_model == "whisper-1":
        return _whisper(price, answer.text, seconds, form, translates=translates)
    text_tokens = len(tokens(prompt_of(body.get("prompt"))))
    heard = seconds * TOKENS_A_SECOND
    usage = openai_wire.usage_of(
        call,
        {
            "type": "tokens",
            "input_tokens": heard + text_tokens,
            "input_token_details": {"text_tokens": text_tokens, "audio_tokens": heard},
            "output_tokens": answer.output_tokens,
            "total_tokens": heard + text_tokens + answer.output_tokens,
        },
    )
    deltas: list[JSON] = [
        {"type": "transcript.text.delta", "delta": piece} for piece in answer.deltas
    ]
    done = {"type": "transcript.text.done", "text": answer.text, "usage": usage}
    return Exchange(
        price=price,
        response_id=new_id("tr-", 24),
        usage=usage,
        tokens=_billed(usage),
        body={"text": answer.text, "usage": usage},
        events=[*(_event(delta, delta=True) for delta in deltas), _event(done)],
        failure=lambda sent: [_failure(call)],
    )


def translation(call: Call) -> Exchange:
    """POST /v1/audio/translations. Only the longest form says how long the audio is."""
    return transcript(call, translates=True)


def _whisper(price: ListPrice, text: str, seconds: int, form: str, *, translates: bool) -> Exchange:
    cost = SECOND * seconds
    if form in {"text", "srt", "vtt"}:
        return _free_of_tokens(price, {}, cost, media="text/plain", content=text.encode())
    usage: JSON = {} if translates else {"type": "duration", "seconds": seconds}
    body: JSON = {"text": text} | ({} if translates else {"usage": usage})
    if form == "verbose_json":
        body |= {"task": "transcribe", "language": "english", "duration": float(seconds)}
    return _free_of_tokens(price, body, cost, usage=usage)


def speech(call: Call) -> Exchange:
    """POST /v1/audio/speech: sound, or events whose last has the usage."""
    price, text = _price(call), call.body["input"]
    if price.response_model == "tts-1":
        return _free_of_tokens(
            price, {}, CHARACTER * len(text), media="audio/mpeg", content=b"\xff\xf3" * 4000
        )
    said, size = len(tokens(text)), 20 * len(tokens(text))
    usage = openai_wire.usage_of(
        call, {"input_tokens": said, "output_tokens": size, "total_tokens": said + size}
    )
    sound = base64.b64encode(b"\xff\xf3" * 400).decode()
    delta = _event({"type": "speech.audio.delta", "audio": sound}, delta=True)
    return Exchange(
        price=price,
        response_id=new_id("sp-", 24),
        usage=usage,
        tokens=_billed(usage),
        body={},
        events=[*[delta] * 3, _event({"type": "speech.audio.done", "usage": usage})],
        streams=call.body.get("stream_format") == "sse",
        media="audio/mpeg",
        content=b"\xff\xf3" * 4000,
    )


def moderation(call: Call) -> Exchange:
    """POST /v1/moderations. It is free, and counts nothing."""
    price = _price(call)
    answer: JSON = {
        "id": new_id("modr-", 32),
        "model": price.response_model,
        "results": [{"flagged": False, "categories": {}, "category_scores": {}}],
    }
    return _free_of_tokens(price, answer, Decimal(0))


def _price(call: Call) -> ListPrice:
    return call.price(PRICES)


def _billed(usage: JSON) -> Tokens:
    return Tokens(input=usage["input_tokens"], output=usage["output_tokens"])


def _free_of_tokens(
    price: ListPrice,
    body: JSON,
    cost: Decimal,
    *,
    usage: JSON | None = None,
    media: str | None = None,
    content: bytes = b"",
) -> Exchange:
    """An answer that is charged by something else than tokens."""
    response_id = body.get("id", new_id("media-", 24))
    return Exchange(
        price, response_id, usage or {}, Tokens(), body, media=media, content=content, beyond=cost
    )


def _event(data: JSON, *, delta: bool = False) -> Event:
    return Event(data, name=data["type"], delta=delta)


def _failure(call: Call) -> Event:
    error = openai_wire.error_body(500, call.request_id, None, call.reply.error)
    return _event({"type": "error", **error})


ENDPOINTS = tuple(
    Endpoint(prefix + path, api, openai_wire.WIRE, answer)
    for prefix in openai_wire.PREFIXES
    for path, api, answer in (
        ("/images/generations", "openai.images.generations", images),
        ("/images/edits", "openai.images.edits", images),
        ("/images/variations", "openai.images.variations", images),
        ("/audio/transcriptions", "openai.audio.transcriptions", transcript),
        ("/audio/translations", "openai.audio.translations", translation),
        ("/audio/speech", "openai.audio.speech", speech),
        ("/moderations", "openai.moderations", moderation),
    )
)
