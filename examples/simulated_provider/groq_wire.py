"""Groq's wire: chat, transcriptions, translations and speech, below /groq.

Source: console.groq.com/docs/api-reference, and the types of its Python SDK. A stream tells its
usage in `x_groq` of the last chunk, unasked. Compound systems tell what each of their models used,
and which tools they ran.
"""

import time
from collections.abc import Iterator
from decimal import Decimal

from simulated_provider import openai_wire
from simulated_provider.answers import compose
from simulated_provider.compatible import Conversation, billed, chat_choice, delta_choice, hold
from simulated_provider.exchange import JSON, Call, Endpoint, Event, Exchange, Wire, new_id, section
from simulated_provider.prices import ListPrice, PriceList, Tokens

PREFIX = "/groq/openai/v1"

# groq.com/pricing, US dollars per million tokens.
PRICES = PriceList(
    {
        "llama-3.3-70b-versatile": ListPrice(
            "llama-3.3-70b-versatile", input=Decimal("0.59"), output=Decimal("0.79")
        ),
        "openai/gpt-oss-120b": ListPrice(
            "openai/gpt-oss-120b",
            input=Decimal("0.15"),
            output=Decimal("0.60"),
            cached_input=Decimal("0.075"),
            reasons=True,
        ),
        "groq/compound": ListPrice("groq/compound", input=Decimal("0.15"), output=Decimal("0.60")),
        "whisper-large-v3": ListPrice("whisper-large-v3", input=Decimal(0)),
        "canopylabs/orpheus-v1-english": ListPrice(
            "canopylabs/orpheus-v1-english", input=Decimal(0)
        ),
    }
)
# Dollars for a second of audio, a character, and the tools that a compound answer here runs.
SECOND, CHARACTER, TOOLS = Decimal("0.111") / 3600, Decimal("0.000022"), Decimal("0.0105")

BYTES_A_SECOND = 1000

WIRE = Wire(
    request_id=lambda: new_id("req_", 26),
    headers=lambda request_id: {"x-request-id": request_id, "x-groq-region": "us-west-1"},
    error=openai_wire.error_body,
)


def chat(call: Call) -> Exchange:
    """POST /openai/v1/chat/completions."""
    held = hold(call, PRICES)
    usage = _usage(call, held)
    compound = held.price.response_model == "groq/compound"
    head: JSON = {
        "id": new_id("chatcmpl-", 36),
        "object": "chat.completion",
        "created": int(time.time()),
        "model": held.price.response_model,
        "system_fingerprint": "fp_179b0f92c9",
    }
    further: JSON = {"usage_breakdown": _breakdown(usage)} if compound else {}
    body = {
        **head,
        "choices": [chat_choice(held, **({"executed_tools": _TOOLS_RUN} if compound else {}))],
        **({} if call.reply.without_usage else {"usage": usage, **further}),
        "service_tier": call.reply.service_tier or "on_demand",
        "x_groq": {"id": call.request_id},
    }
    return Exchange(
        price=held.price,
        response_id=head["id"],
        usage=usage | further,
        tokens=billed(usage),
        body=body,
        events=list(_chunks(call, held, usage | further, head)),
        failure=lambda sent: [Event(openai_wire.error_body(500, "", None, call.reply.error))],
        beyond=TOOLS if compound else Decimal(0),
    )


def _usage(call: Call, held: Conversation) -> JSON:
    counted = {"queue_time": 0.043, **held.usage, "prompt_time": 0.002, "completion_time": 0.031}
    counted["total_time"] = 0.033
    if held.cached.read:
        counted["prompt_tokens_details"] = {"cached_tokens": held.cached.read}
    if held.answer.reasoning_tokens:
        counted["completion_tokens_details"] = {"reasoning_tokens": held.answer.reasoning_tokens}
    return openai_wire.usage_of(call, counted)


_TOOLS_RUN: list[JSON] = [
    {"index": 0, "type": "search", "arguments": '{"query":"revenue"}', "output": "Title: Revenue"},
    {"index": 1, "type": "python", "arguments": '{"code":"1 + 1"}', "output": "2"},
    {"index": 2, "type": "search", "arguments": '{"query":"sales"}', "output": "Title: Sales"},
]


def _breakdown(usage: JSON) -> JSON:
    """What each of a compound system's models used: half of it, here."""
    halves = {
        name: count // 2 if isinstance(count, int) else count for name, count in usage.items()
    }
    rest = {
        name: count - halves[name] if isinstance(count, int) else count
        for name, count in usage.items()
    }
    return {
        "models": [
            {"model": "llama-3.3-70b-versatile", "usage": halves},
            {"model": "openai/gpt-oss-120b", "usage": rest},
        ]
    }


def _chunks(call: Call, held: Conversation, usage: JSON, head: JSON) -> Iterator[Event]:
    head = head | {"object": "chat.completion.chunk"}
    opening = delta_choice({"role": "assistant", "content": ""})
    yield Event(head | {"choices": [opening], "x_groq": {"id": call.request_id}})
    if "usage_breakdown" in usage:
        for tool in _TOOLS_RUN:
            begun = {name: value for name, value in tool.items() if name != "output"}
            for seen in (begun, tool):
                yield Event(head | {"choices": [delta_choice({"executed_tools": [seen]})]})
    for piece in held.answer.deltas:
        yield Event(head | {"choices": [delta_choice({"content": piece})]}, delta=True)
    told: JSON = {"id": call.request_id}
    plain = {name: count for name, count in usage.items() if name != "usage_breakdown"}
    if not call.reply.without_usage:
        told["usage"] = plain
        if "usage_breakdown" in usage:
            told["usage_breakdown"] = usage["usage_breakdown"]
    yield Event(head | {"choices": [delta_choice({}, held.finish_reason)], "x_groq": told})
    if section(call.body, "stream_options").get("include_usage") and not call.reply.without_usage:
        yield Event(head | {"choices": [], "usage": plain})
    yield Event("[DONE]")


def transcript(call: Call) -> Exchange:
    """POST /openai/v1/audio/transcriptions and /translations."""
    seconds = max(1, len(call.body["file"]) // BYTES_A_SECOND)
    answer = compose(str(len(call.body["file"])), text=call.reply.text)
    body: JSON = {"text": answer.text, "x_groq": {"id": call.request_id}}
    if call.body.get("response_format") == "verbose_json":
        body |= {"task": "transcribe", "language": "English", "duration": seconds, "segments": []}
    price = call.price(PRICES)
    return Exchange(price, call.request_id, {}, Tokens(), body, beyond=SECOND * seconds)


def speech(call: Call) -> Exchange:
    """POST /openai/v1/audio/speech."""
    return Exchange(
        call.price(PRICES),
        call.request_id,
        {},
        Tokens(),
        {},
        media="audio/wav",
        content=b"RIFF" * 1000,
        beyond=CHARACTER * len(call.body["input"]),
    )


ENDPOINTS = tuple(
    Endpoint(PREFIX + path, api, WIRE, answer)
    for path, api, answer in (
        ("/chat/completions", "groq.chat", chat),
        ("/audio/transcriptions", "groq.audio.transcriptions", transcript),
        ("/audio/translations", "groq.audio.translations", transcript),
        ("/audio/speech", "groq.audio.speech", speech),
    )
)
