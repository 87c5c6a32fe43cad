"""What services that speak OpenAI's API have in common: a chat counted and answered, in choices."""

from collections.abc import Mapping
from dataclasses import dataclass

from simulated_provider.answers import Answer, compose, prompt_of, tokens
from simulated_provider.exchange import JSON, Call, listed
from simulated_provider.prices import ListPrice, PriceList, Tokens
from simulated_provider.prompt_cache import CacheUse


@dataclass(frozen=True, slots=True)
class Conversation:
    """A prompt that was read, and the answer to it."""

    price: ListPrice
    prompt_tokens: int
    cached: CacheUse
    answer: Answer

    @property
    def usage(self) -> JSON:
        """The counts that all of them report."""
        output = self.answer.output_tokens
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": output,
            "total_tokens": self.prompt_tokens + output,
        }

    @property
    def finish_reason(self) -> str:
        """Why the answer ends."""
        return "length" if self.answer.truncated else "stop"


def hold(call: Call, prices: PriceList) -> Conversation:
    """Reads the messages or the prompt of a call, and answers."""
    price = call.price(prices)
    prompt = prompt_of(listed(call.body, "messages"), call.body.get("prompt"))
    read = tokens(prompt)
    return Conversation(
        price=price,
        prompt_tokens=len(read),
        cached=call.cache.implicit(price.response_model, read),
        answer=compose(
            prompt,
            text=call.reply.text,
            chunks=call.reply.chunks,
            limit=call.body.get("max_completion_tokens") or call.body.get("max_tokens"),
            reasons=price.reasons,
        ),
    )


def chat_choice(held: Conversation, **further: object) -> JSON:
    """The choice of an answer that is not streamed."""
    message: JSON = {"role": "assistant", "content": held.answer.text, **further}
    return {
        "index": 0,
        "message": message,
        "logprobs": None,
        "finish_reason": held.finish_reason,
    }


def delta_choice(delta: Mapping[str, object], finish_reason: str | None = None) -> JSON:
    """The choice of one chunk."""
    return {"index": 0, "delta": dict(delta), "logprobs": None, "finish_reason": finish_reason}


def billed(usage: JSON) -> Tokens:
    """The tokens of a usage block. Input includes what was cached, output what was reasoned."""
    prompt: JSON = usage.get("prompt_tokens_details") or {}
    completion: JSON = usage.get("completion_tokens_details") or {}
    return Tokens(
        input=usage.get("prompt_tokens", 0),
        cache_read=prompt.get("cached_tokens") or 0,
        output=usage.get("completion_tokens", 0),
        reasoning=completion.get("reasoning_tokens") or 0,
    )
