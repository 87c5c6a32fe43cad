"""OpenAI's wire: chat completions, and the completions that came before them."""

import time

from simulated_provider import openai_wire
from simulated_provider.answers import Answer, compose, prompt_of, tokens
from simulated_provider.exchange import JSON, Call, Endpoint, Exchange, listed, new_id
from simulated_provider.prices import ListPrice
from simulated_provider.prompt_cache import CacheUse

# A chat prompt's framing: 3 tokens for each message and 3 to open the answer (OpenAI cookbook,
# "How to count tokens with tiktoken").
_FRAMING_TOKENS = 3


def chat(call: Call) -> Exchange:
    """POST /v1/chat/completions."""
    price = call.price(openai_wire.PRICES)
    messages = listed(call.body, "messages")
    prompt = prompt_of(messages, call.body.get("tools"))
    size = len(tokens(prompt)) + _FRAMING_TOKENS * (len(messages) + 1)
    cached = call.cache.implicit(price.response_model, tokens(prompt))
    limit = call.body.get("max_completion_tokens", call.body.get("max_tokens"))
    answer = _compose(call, prompt, limit, price)
    usage = openai_wire.usage_of(
        call,
        {
            "prompt_tokens": size,
            "completion_tokens": answer.output_tokens,
            "total_tokens": size + answer.output_tokens,
            "prompt_tokens_details": _prompt_details(price, cached),
            "completion_tokens_details": {
                "reasoning_tokens": answer.reasoning_tokens,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        },
    )
    head: JSON = {
        "id": new_id("chatcmpl-", 29),
        "object": "chat.completion",
        "created": int(time.time()),
        "model": price.response_model,
        "service_tier": call.reply.service_tier or "default",
        "system_fingerprint": "fp_50cad350e4",
    }
    return openai_wire.choices_exchange(
        call, price, usage, head, choice=_whole_chat(call, answer), deltas=_chat_deltas(answer)
    )


def completion(call: Call) -> Exchange:
    """POST /v1/completions, the legacy endpoint. Its usage has no details."""
    price = call.price(openai_wire.PRICES)
    prompt = prompt_of(call.body.get("prompt"))
    answer = _compose(call, prompt, call.body.get("max_tokens", 16), price)
    size = len(tokens(prompt))
    usage = openai_wire.usage_of(
        call,
        {
            "prompt_tokens": size,
            "completion_tokens": answer.output_tokens,
            "total_tokens": size + answer.output_tokens,
        },
    )
    head: JSON = {
        "id": new_id("cmpl-", 29),
        "object": "text_completion",
        "created": int(time.time()),
        "model": price.response_model,
    }
    finish = _finish_reason(answer)
    choice = _completion_choice(answer.text, finish)
    deltas = [_completion_choice(piece, None) for piece in answer.deltas]
    return openai_wire.choices_exchange(
        call, price, usage, head, choice=choice, deltas=[*deltas, _completion_choice("", finish)]
    )


def _compose(call: Call, prompt: str, limit: int | None, price: ListPrice) -> Answer:
    reply = call.reply
    return compose(prompt, text=reply.text, chunks=reply.chunks, limit=limit, reasons=price.reasons)


def _prompt_details(price: ListPrice, cached: CacheUse) -> JSON:
    details = {"cached_tokens": cached.read, "audio_tokens": 0}
    # Only models that charge for writes report them here.
    return details if price.cache_write is None else details | {"cache_write_tokens": cached.write}


def _finish_reason(answer: Answer) -> str:
    return "length" if answer.truncated else "stop"


def _whole_chat(call: Call, answer: Answer) -> JSON:
    message: JSON = {
        "role": "assistant",
        "content": answer.text,
        "refusal": None,
        "annotations": [],
    }
    choice: JSON = {"index": 0, "message": message, "logprobs": None}
    filtered = {"content_filter_results": openai_wire.FILTERED} if call.deployed else {}
    return choice | filtered | {"finish_reason": _finish_reason(answer)}


def _chat_deltas(answer: Answer) -> list[JSON]:
    opening = {"role": "assistant", "content": "", "refusal": None}
    deltas = [opening, *({"content": piece} for piece in answer.deltas), {}]
    choices: list[JSON] = [
        {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None} for delta in deltas
    ]
    choices[-1]["finish_reason"] = _finish_reason(answer)
    return choices


def _completion_choice(text: str, finish_reason: str | None) -> JSON:
    return {"text": text, "index": 0, "logprobs": None, "finish_reason": finish_reason}


ENDPOINTS = tuple(
    Endpoint(prefix + path, api, openai_wire.WIRE, answer)
    for prefix in openai_wire.PREFIXES
    for path, api, answer in (
        ("/chat/completions", "openai.chat", chat),
        ("/completions", "openai.completions", completion),
    )
)
