"""What a call will use, before it is made: as little work as does, since every call waits for it.

Input is not tokenized, which takes milliseconds for a long prompt: a token is taken for three bytes of UTF-8. English
averages four to five bytes a token, code and JSON some three, Chinese and Japanese three or more: it errs on the side
of too much, and what is too much comes back when the provider has counted. What is no text (an image, sound, a file)
is taken for `MEDIA` tokens. Output is what the request bounds it to, or what the budget says; what is no text of it is
foreseen as far as the request tells.
"""

from collections.abc import Mapping
from math import ceil
from typing import Any, Final, NamedTuple, cast

from spanmeter.instrumentation.budgets.amounts import SCALE
from spanmeter.instrumentation.budgets.foreseeing import Units, foreseen_output, foreseen_units
from spanmeter.instrumentation.budgets.policy import UNIT, Rule
from spanmeter.instrumentation.budgets.rates import NO_UNITS, Rates
from spanmeter.instrumentation.endpoint import Endpoint, mapping
from spanmeter.metering import attributes as names

BYTES_PER_TOKEN: Final = 3
OF_TEXT: Final = 3
"""Tokens around each text: who says it, where it ends."""

MEDIA: Final = 2000
"""Tokens of an image, as the providers count a large one."""

LONGEST_TEXT: Final = 100_000
"""Characters from which a text without any space is taken for an encoded file."""

LIMITS: Final = (
    ("max_completion_tokens",),
    ("max_output_tokens",),
    ("max_tokens",),
    ("max_tokens_to_sample",),
    ("max_gen_len",),
    ("maxTokens",),
    ("generationConfig", "maxOutputTokens"),
    ("generationConfig", "max_output_tokens"),
    ("inferenceConfig", "maxTokens"),
    ("inferenceConfig", "max_new_tokens"),
    ("textGenerationConfig", "maxTokenCount"),
    ("options", "num_predict"),
)
"""Where requests bound their output, over all APIs."""

WITHOUT_OUTPUT: Final = frozenset(
    {
        names.EMBEDDINGS,
        names.RERANK,
        names.MODERATION,
        names.CLASSIFICATION,
        names.OCR,
        names.VIDEO_GENERATION,
    }
)
"""Operations that make no tokens."""


class Expected(NamedTuple):
    """Tokens, and amounts of other units. `output` None: the request does not bound it."""

    input: int
    output: int | None
    answers: int = 1
    """How many answers are asked for; each may use that much."""
    units: Units = NO_UNITS

    def made(self, otherwise: int) -> int:
        """Tokens of output, with what to take where the request does not say."""
        return self.answers * (otherwise if self.output is None else self.output)

    def amount(self, rule: Rule, rates: Rates | None) -> int:
        """What that comes to in the metric of a budget, at these rates if it is one of money."""
        made = self.made(rule.output_tokens)
        if rates is not None:
            return rates.cost(self.input, made, self.units)
        counts = {
            "requests": 1,
            "tokens": self.input + made,
            "input_tokens": self.input,
            "output_tokens": made,
        }
        of_unit = self.units.get(rule.metric.removeprefix(UNIT), 0)
        return ceil(counts.get(rule.metric, of_unit) * SCALE)


def expected(endpoint: Endpoint, body: Mapping[str, Any]) -> Expected:
    """What a request will use."""
    content = endpoint.content(body)
    size, texts, media = _measured(content)
    taken_in = -(-size // BYTES_PER_TOKEN) + OF_TEXT * texts + MEDIA * media
    units = foreseen_units(endpoint, content)
    if endpoint.operation in WITHOUT_OUTPUT:
        return Expected(taken_in, 0, units=units)
    foreseen = foreseen_output(endpoint, content, units)
    if foreseen is not None:
        return Expected(taken_in, foreseen, units=units)
    answers = content.get("n")
    several = answers if type(answers) is int and answers > 1 else 1
    return Expected(taken_in, output_limit(content), several, units)


def output_limit(body: Mapping[str, Any]) -> int | None:
    """What the request bounds its output to."""
    for first, *rest in LIMITS:
        found = body.get(first)
        if found is not None and rest:
            found = mapping(found).get(rest[0])
        if type(found) is int and found >= 0:
            return found
    return None


def _measured(body: Mapping[str, Any]) -> tuple[int, int, int]:
    """Bytes of text, number of texts, number of files in a JSON value, at any depth."""
    size = texts = media = 0
    waiting: list[Any] = [body]
    while waiting:
        value = waiting.pop()
        kind = value.__class__
        if kind is str:
            length = len(value)
            if length > LONGEST_TEXT and " " not in value:
                media += 1
            else:
                texts += 1
                size += length if value.isascii() else len(value.encode("utf-8", "replace"))
        elif kind is dict:
            waiting += value.values()
        elif kind is list or kind is tuple:
            waiting += value
        elif kind is bytes or kind is bytearray:
            # A request's own body is JSON; a file is not.
            is_json = value[:1] == b"{"
            size += len(value) if is_json else 0
            media += not is_json
        elif isinstance(value, Mapping):
            waiting += cast("Mapping[str, Any]", value).values()
    return size, texts, media
