"""What InvokeModel is given: a document in the words of the model's maker, as JSON within the request."""

import json
from collections.abc import Iterable
from typing import Any, Final

from spanmeter.instrumentation.endpoint import Json, mapping
from spanmeter.instrumentation.texts import prompt_of

OUTPUT_LIMITS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("anthropic.", ("max_tokens",)),
    ("meta.", ("max_gen_len",)),
    ("amazon.nova", ("inferenceConfig", "maxTokens")),
    ("amazon.titan-text", ("textGenerationConfig", "maxTokenCount")),
    ("mistral.", ("max_tokens",)),
    ("cohere.command", ("max_tokens",)),
    ("ai21.jamba", ("max_tokens",)),
    ("deepseek.", ("max_tokens",)),
    ("qwen.", ("max_tokens",)),
    ("writer.", ("max_tokens",)),
)
"""Parts of model ids, and where such a model's document bounds its output.

Source: docs.aws.amazon.com/bedrock/latest/userguide/model-parameters.html."""


def output_limit_of(model_id: str) -> tuple[str, ...] | None:
    """Where a model's document bounds its output; None where that is not known."""
    return next((place for part, place in OUTPUT_LIMITS if part in model_id), None)


def content_of(asked: Json) -> Json:
    """The document. A file is left to the client to read."""
    body = asked.get("body")
    if not isinstance(body, (str, bytes, bytearray)):
        return asked
    try:
        return mapping(json.loads(body))
    except ValueError:
        return {}


def prompt_of_invoked(asked: Json) -> Iterable[str]:
    """The texts of the document."""
    return prompt_of(content_of(asked))


class InvokedRewriting:
    """Puts another document, or another model, into the arguments of InvokeModel, which are botocore's own."""

    def __init__(self, arguments: dict[str, Any]) -> None:
        self._arguments = arguments

    def rewrite(self, content: Json) -> None:
        """Puts another document in place."""
        self._arguments["body"] = json.dumps(content)

    def rename(self, model: str, body: Json) -> Json:
        """Has another model asked; what it is asked stays."""
        self._arguments["modelId"] = model
        return body
